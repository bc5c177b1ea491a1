#include "eval/metrics/cider.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "eval/metrics/words.h"

namespace lora {
namespace {

constexpr std::size_t kOrder = 4;
constexpr double kSigma = 6;

/// tf-idf of n-grams.
struct Vector {
  std::map<Words, double> weights;
  std::array<double, kOrder> norms{};
  double bigrams = 0;  ///< what the caption code takes for the length
};

class Weighting {
 public:
  explicit Weighting(const std::vector<ScoredText>& texts)
      : log_texts_(std::log(static_cast<double>(texts.size()))) {
    for (const ScoredText& text : texts) {
      std::set<Words> seen;
      for (const std::string& reference : text.references) {
        for (const auto& [ngram, count] : count_ngrams(words_coco(reference), kOrder)) seen.insert(ngram);
      }
      for (const Words& ngram : seen) ++documents_[ngram];
    }
  }

  Vector of(const std::string& text) const {
    Vector vector;
    for (const auto& [ngram, count] : count_ngrams(words_coco(text), kOrder)) {
      const auto found = documents_.find(ngram);
      const double documents = found == documents_.end() ? 1 : std::max(1, found->second);
      const double weight = count * (log_texts_ - std::log(documents));
      vector.weights[ngram] = weight;
      vector.norms[ngram.size() - 1] += weight * weight;
      if (ngram.size() == 2) vector.bigrams += count;
    }
    for (double& norm : vector.norms) norm = std::sqrt(norm);
    return vector;
  }

 private:
  double log_texts_;
  std::map<Words, int> documents_;
};

double similarity(const Vector& found, const Vector& expected) {
  std::array<double, kOrder> cosines{};
  for (const auto& [ngram, weight] : found.weights) {
    const auto same = expected.weights.find(ngram);
    if (same != expected.weights.end())
      cosines[ngram.size() - 1] += std::min(weight, same->second) * same->second;
  }
  const double difference = found.bigrams - expected.bigrams;
  double sum = 0;
  for (std::size_t n = 0; n < kOrder; ++n) {
    const double norms = found.norms[n] * expected.norms[n];
    sum += (norms > 0 ? cosines[n] / norms : cosines[n]) *
           std::exp(-difference * difference / (2 * kSigma * kSigma));
  }
  return sum / kOrder;
}

}  // namespace

std::vector<Statistics> Cider::statistics(const std::vector<ScoredText>& texts) const {
  const Weighting weighting(texts);
  std::vector<Statistics> rows;
  for (const ScoredText& text : texts) {
    const Vector found = weighting.of(text.prediction);
    double sum = 0;
    for (const std::string& reference : text.references) sum += similarity(found, weighting.of(reference));
    rows.push_back({scale() * sum / static_cast<double>(text.references.size()), 1});
  }
  return rows;
}

}  // namespace lora
