#include "eval/metrics/rouge.h"

#include <algorithm>

#include "eval/metrics/words.h"

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

double f1(double common, double predicted, double expected) {
  return predicted + expected > 0 ? 2 * common / (predicted + expected) : 0;
}

}  // namespace

double RougeN::text_score(const ScoredText& text) const {
  const auto ngrams_of = [&](const std::string& source) {
    NgramCounts counts = count_ngrams(words_rouge(source), order_);
    std::erase_if(counts, [&](const auto& entry) { return entry.first.size() != order_; });
    return counts;
  };
  const auto total = [](const NgramCounts& counts) {
    double sum = 0;
    for (const auto& [ngram, count] : counts) sum += count;
    return sum;
  };
  const NgramCounts found = ngrams_of(text.prediction);
  double best = 0;
  for (const std::string& reference : text.references) {
    const NgramCounts expected = ngrams_of(reference);
    double common = 0;
    for (const auto& [ngram, count] : expected) {
      const auto same = found.find(ngram);
      if (same != found.end()) common += std::min(count, same->second);
    }
    best = std::max(best, f1(common, total(found), total(expected)));
  }
  return best;
}

double RougeL::text_score(const ScoredText& text) const {
  const Words words = words_rouge(text.prediction);
  double best = 0;
  for (const std::string& reference : text.references) {
    const Words expected = words_rouge(reference);
    best = std::max(best, f1(common_subsequence(words, expected), static_cast<double>(words.size()),
                             static_cast<double>(expected.size())));
  }
  return best;
}

double CocoRougeL::text_score(const ScoredText& text) const {
  constexpr double kBeta = 1.2;
  const Words words = words_coco(text.prediction);
  double precision = 0, recall = 0;
  for (const std::string& reference : text.references) {
    const Words expected = words_coco(reference);
    if (words.empty() || expected.empty()) continue;
    const double common = common_subsequence(words, expected);
    precision = std::max(precision, common / static_cast<double>(words.size()));
    recall = std::max(recall, common / static_cast<double>(expected.size()));
  }
  if (precision == 0 || recall == 0) return 0;
  return (1 + kBeta * kBeta) * precision * recall / (recall + kBeta * kBeta * precision);
}

}  // namespace lora
