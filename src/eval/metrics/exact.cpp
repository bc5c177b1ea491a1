#include "eval/metrics/exact.h"

#include <algorithm>

#include "eval/metrics/words.h"

namespace lora {

double ExactMatch::text_score(const ScoredText& text) const {
  const Words words = words_squad(text.prediction);
  return std::any_of(text.references.begin(), text.references.end(),
                     [&](const std::string& reference) { return words_squad(reference) == words; });
}

double TokenF1::text_score(const ScoredText& text) const {
  const Words words = words_squad(text.prediction);
  const NgramCounts counts = count_ngrams(words, 1);
  double best = 0;
  for (const std::string& reference : text.references) {
    const Words expected = words_squad(reference);
    if (words.empty() || expected.empty()) {
      best = std::max(best, words.empty() && expected.empty() ? 1.0 : 0.0);
      continue;
    }
    double common = 0;
    for (const auto& [word, count] : count_ngrams(expected, 1)) {
      const auto found = counts.find(word);
      if (found != counts.end()) common += std::min(count, found->second);
    }
    best = std::max(best, 2 * common / static_cast<double>(words.size() + expected.size()));
  }
  return best;
}

}  // namespace lora
