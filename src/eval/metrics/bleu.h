#pragma once

#include "eval/metrics/text_metric.h"

namespace lora {

enum class BleuKind {
  sacrebleu,  ///< case matters, 0..100
  mteval,     ///< lower case, 0..1: what the E2E challenge and the LoRA paper report
};

/// BLEU-4 (Papineni et al. 2002): brevity penalty * geometric mean of the n-gram precisions, with
/// tokenization 13a, the closest reference's length and exponential smoothing of precisions that are 0.
class Bleu : public TextMetric {
 public:
  explicit Bleu(BleuKind kind) : kind_(kind) {}
  std::string name() const override { return kind_ == BleuKind::sacrebleu ? "bleu" : "e2e_bleu"; }
  double scale() const override { return kind_ == BleuKind::sacrebleu ? 100 : 1; }
  std::string definition() const override;
  /// {prediction's words, closest reference's words, matches of order 1..4, n-grams of order 1..4}
  std::vector<Statistics> statistics(const std::vector<ScoredText>& texts) const override;
  double value(const Statistics& sum) const override;

 private:
  BleuKind kind_;
};

}  // namespace lora
