#pragma once

#include "eval/metrics/text_metric.h"

namespace lora {

/// chrF2 (Popovic 2015) as sacreBLEU: mean over orders of F with beta 2 of character n-grams (order 6,
/// without white space) and, for chrF++, of word n-grams up to `word_order`. Each text counts with its best
/// reference.
class Chrf : public TextMetric {
 public:
  explicit Chrf(std::size_t word_order) : word_order_(word_order) {}
  std::string name() const override { return word_order_ == 0 ? "chrf" : "chrf++"; }
  double scale() const override { return 100; }
  std::string definition() const override;
  /// For each order {n-grams of the prediction, of the reference, in common}.
  std::vector<Statistics> statistics(const std::vector<ScoredText>& texts) const override;
  double value(const Statistics& sum) const override;

 private:
  std::size_t word_order_;
};

}  // namespace lora
