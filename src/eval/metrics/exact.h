#pragma once

#include "eval/metrics/text_metric.h"

namespace lora {

/// 1 if the texts are equal up to SQuAD's normalisation (case, punctuation, articles, white space).
class ExactMatch : public BestReferenceMetric {
 public:
  std::string name() const override { return "exact_match"; }
  std::string definition() const override {
    return "share of texts equal to a reference, normalised as by SQuAD";
  }

 protected:
  Words words(const std::string& text) const override { return words_squad(text); }
  double pair_score(const Words& prediction, const Words& reference) const override {
    return prediction == reference;
  }
};

/// F1 of the words in common, as SQuAD; 1 for two texts without words.
class TokenF1 : public BestReferenceMetric {
 public:
  std::string name() const override { return "token_f1"; }
  std::string definition() const override { return "mean F1 of words in common, as by SQuAD"; }

 protected:
  Words words(const std::string& text) const override { return words_squad(text); }
  double pair_score(const Words& prediction, const Words& reference) const override;
};

}  // namespace lora
