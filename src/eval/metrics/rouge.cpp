#include "eval/metrics/rouge.h"

#include <algorithm>

#include "eval/metrics/ngram_f1.h"

namespace lora {
namespace {

double common_subsequence(const Words& a, const Words& b) {
  std::vector<int> row(b.size() + 1, 0);
  for (const std::string& word : a) {
    int diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const int above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

double RougeN::pair_score(const Words& prediction, const Words& reference) const {
  return ngram_f1(prediction, reference, order_);
}

double RougeL::pair_score(const Words& prediction, const Words& reference) const {
  return f1(common_subsequence(prediction, reference), static_cast<double>(prediction.size()),
            static_cast<double>(reference.size()));
}

double CocoRougeL::text_score(const ScoredText& text) const {
  constexpr double kBeta = 1.2;
  const Words words = words_coco(text.prediction);
  double precision = 0, recall = 0;
  for (const std::string& reference : text.references) {
    const Words expected = words_coco(reference);
    if (words.empty() && expected.empty()) return 1;
    if (words.empty() || expected.empty()) continue;
    const double common = common_subsequence(words, expected);
    precision = std::max(precision, common / static_cast<double>(words.size()));
    recall = std::max(recall, common / static_cast<double>(expected.size()));
  }
  if (precision == 0 || recall == 0) return 0;
  return (1 + kBeta * kBeta) * precision * recall / (recall + kBeta * kBeta * precision);
}

}  // namespace lora
