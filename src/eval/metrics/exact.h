#pragma once

#include "eval/metrics/text_metric.h"

namespace lora {

/// 1 if the texts are equal up to SQuAD's normalisation (case, punctuation, articles, white space), for the
/// best reference.
class ExactMatch : public MeanMetric {
 public:
  std::string name() const override { return "exact_match"; }
  std::string definition() const override {
    return "share of texts equal to a reference, normalised as by SQuAD";
  }

 protected:
  double text_score(const ScoredText& text) const override;
};

/// F1 of the words in common, as SQuAD, for the best reference.
class TokenF1 : public MeanMetric {
 public:
  std::string name() const override { return "token_f1"; }
  std::string definition() const override { return "mean F1 of words in common, as by SQuAD"; }

 protected:
  double text_score(const ScoredText& text) const override;
};

}  // namespace lora
