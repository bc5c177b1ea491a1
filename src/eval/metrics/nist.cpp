#include "eval/metrics/nist.h"

#include <algorithm>
#include <cmath>

#include "eval/metrics/words.h"

namespace lora {
namespace {

constexpr std::size_t kOrder = 5, kReferences = 2 + 2 * kOrder, kTexts = kReferences + 1;

Words words_of(const std::string& text) { return words_13a(lower_case(text)); }

}  // namespace

std::vector<Statistics> Nist::statistics(const std::vector<ScoredText>& texts) const {
  NgramCounts in_references;
  double words_in_references = 0;
  std::vector<std::vector<Words>> references(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    for (const std::string& reference : texts[i].references) {
      const Words& words = references[i].emplace_back(words_of(reference));
      words_in_references += static_cast<double>(words.size());
      for (const auto& [ngram, count] : count_ngrams(words, kOrder)) in_references[ngram] += count;
    }
  }
  const auto information = [&](const Words& ngram) {
    const double before =
        ngram.size() == 1 ? words_in_references : in_references.at(Words(ngram.begin(), ngram.end() - 1));
    return std::log2(before / in_references.at(ngram));
  };
  std::vector<Statistics> rows;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Statistics row(4 + 2 * kOrder, 0.0);
    const Words words = words_of(texts[i].prediction);
    row[0] = static_cast<double>(words.size());
    for (const Words& reference : references[i]) row[1] += static_cast<double>(reference.size());
    row[kReferences] = static_cast<double>(references[i].size());
    row[kTexts] = 1;
    const NgramCounts most = largest_counts(references[i], kOrder);
    for (const auto& [ngram, count] : count_ngrams(words, kOrder)) {
      if (const int shared = std::min(count, count_of(most, ngram)); shared > 0)
        row[1 + ngram.size()] += information(ngram) * shared;
      row[1 + kOrder + ngram.size()] += count;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

double Nist::value(const Statistics& sum) const {
  double score = 0;
  for (std::size_t n = 1; n <= kOrder; ++n) {
    if (sum[1 + kOrder + n] > 0) score += sum[1 + n] / sum[1 + kOrder + n];
  }
  if (sum[0] == 0 || sum[1] == 0) return 0;
  const double ratio = std::min(1.0, sum[0] / (sum[kTexts] * sum[1] / sum[kReferences]));
  const double beta = std::log(0.5) / std::pow(std::log(1.5), 2);
  return score * std::exp(beta * std::pow(std::log(ratio), 2));
}

}  // namespace lora
