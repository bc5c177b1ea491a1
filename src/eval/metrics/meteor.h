#pragma once

#include "eval/metrics/text_metric.h"

namespace lora {

/// METEOR (Lavie and Agarwal 2007) with the stages of equal words and equal Porter stems; without the
/// synonyms and paraphrases of the Java tool, whose values are others. As nltk's meteor_score without
/// WordNet.
///
/// In each stage the prediction's words that are still free are paired from the last to the first, each with
/// the reference's last free word that equals it. Of m pairs in c chunks (runs that follow each other in both
/// texts): P = m / words, R = m / reference's words, F = P R / (alpha P + (1 - alpha) R), score =
/// (1 - gamma (c / m)^beta) F with alpha 0.9, beta 3, gamma 0.5. Lower case, tokenization 13a.
class Meteor : public BestReferenceMetric {
 public:
  std::string name() const override { return "meteor_stem"; }
  std::string definition() const override {
    return "METEOR of words and Porter stems, no synonyms: nltk without WordNet, alpha 0.9, beta 3, gamma "
           "0.5";
  }

 protected:
  Words words(const std::string& text) const override { return words_13a(lower_case(text)); }
  double pair_score(const Words& prediction, const Words& reference) const override;
};

}  // namespace lora
