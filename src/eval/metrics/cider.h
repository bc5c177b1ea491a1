#pragma once

#include "eval/metrics/text_metric.h"

namespace lora {

/// CIDEr-D (Vedantam et al. 2015) as the MS-COCO caption code: mean over orders 1..4 of the cosine of tf-idf
/// vectors, clipped, times a Gaussian of the difference of lengths (sigma 6), times 10. Document frequencies
/// are those of the set's references.
class Cider : public MeanMetric {
 public:
  std::string name() const override { return "cider"; }
  double scale() const override { return 10; }
  std::string definition() const override {
    return "MS-COCO caption code: CIDEr, 4-grams, sigma 6, idf from the set's references";
  }
  std::vector<Statistics> statistics(const std::vector<ScoredText>& texts) const override;

 protected:
  double text_score(const ScoredText&) const override { return 0; }  // depends on the whole set
};

}  // namespace lora
