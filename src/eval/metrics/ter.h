#pragma once

#include "eval/metrics/text_metric.h"

namespace lora {

/// Translation edit rate (Snover et al. 2006) as Tercom and sacreBLEU: insertions, deletions, substitutions
/// and shifts of blocks that turn a text into its nearest reference, per word of the references' mean length.
/// Shifts are found greedily, the one first that saves most.
class Ter : public TextMetric {
 public:
  std::string name() const override { return "ter"; }
  double scale() const override { return 0; }
  bool higher_is_better() const override { return false; }
  std::string definition() const override {
    return "sacreBLEU: nrefs:var|case:lc|tok:tercom|norm:no|punct:yes";
  }
  /// {edits, mean words of the references}
  std::vector<Statistics> statistics(const std::vector<ScoredText>& texts) const override;
  double value(const Statistics& sum) const override;
};

}  // namespace lora
