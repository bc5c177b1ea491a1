#include "eval/metrics/ngram_f1.h"

#include <algorithm>

namespace lora {

double f1(double common, double predicted, double expected) {
  return predicted + expected > 0 ? 2 * common / (predicted + expected) : 0;
}

double ngram_f1(const Words& prediction, const Words& reference, std::size_t length) {
  const NgramCounts found = count_ngrams(prediction, length);
  double common = 0, predicted = 0, expected = 0;
  for (const auto& [ngram, count] : found) predicted += ngram.size() == length ? count : 0;
  for (const auto& [ngram, count] : count_ngrams(reference, length)) {
    if (ngram.size() != length) continue;
    expected += count;
    common += std::min(count, count_of(found, ngram));
  }
  return f1(common, predicted, expected);
}

}  // namespace lora
