#pragma once

#include "eval/metrics/text_metric.h"

namespace lora {

/// F1 of n-grams in common (Lin 2004): the package rouge_score,
/// no stemming.
class RougeN : public BestReferenceMetric {
 public:
  explicit RougeN(std::size_t order) : order_(order) {}
  std::string name() const override { return "rouge" + std::to_string(order_); }
  std::string definition() const override { return "rouge_score: mean F1 of n-grams in common, no stemming"; }

 protected:
  Words words(const std::string& text) const override { return words_rouge(text); }
  double pair_score(const Words& prediction, const Words& reference) const override;

 private:
  std::size_t order_;
};

/// F1 of the longest common subsequence as for summaries: the package rouge_score, no stemming.
class RougeL : public BestReferenceMetric {
 public:
  std::string name() const override { return "rouge_l"; }
  std::string definition() const override {
    return "rouge_score: mean F1 of the longest common subsequence, no stemming";
  }

 protected:
  Words words(const std::string& text) const override { return words_rouge(text); }
  double pair_score(const Words& prediction, const Words& reference) const override;
};

/// ROUGE-L as the MS-COCO caption code, which the E2E challenge and the LoRA paper use: precision and recall
/// each from their best reference, F with beta 1.2.
class CocoRougeL : public MeanMetric {
 public:
  std::string name() const override { return "rouge_l_coco"; }
  std::string definition() const override {
    return "MS-COCO caption code: longest common subsequence, F with beta 1.2";
  }

 protected:
  double text_score(const ScoredText& text) const override;
};

}  // namespace lora
