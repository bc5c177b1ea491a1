#pragma once

#include "eval/metrics/text_metric.h"

namespace lora {

/// NIST-5 (Doddington 2002) as mteval-v13a.pl: sum over orders n of information of the matching n-grams /
/// number of n-grams, times exp(beta log^2 min(1, words / (texts * mean words of all references))), beta such
/// that a ratio of 2/3 halves it. Information of w1..wn: log2(count(w1..wn-1) / count(w1..wn)) over all
/// references of the set. Lower case, tokenization 13a.
class Nist : public TextMetric {
 public:
  std::string name() const override { return "nist"; }
  double scale() const override { return 0; }
  std::string definition() const override {
    return "mteval-v13a.pl: NIST-5 in lower case, as the E2E challenge";
  }
  /// {prediction's words, words of its references, information of order 1..5, n-grams of order 1..5,
  /// references, 1}
  std::vector<Statistics> statistics(const std::vector<ScoredText>& texts) const override;
  double value(const Statistics& sum) const override;
};

}  // namespace lora
