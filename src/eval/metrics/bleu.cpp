#include "eval/metrics/bleu.h"

#include <algorithm>
#include <cmath>

#include "eval/metrics/words.h"

namespace lora {
namespace {

constexpr std::size_t kOrder = 4;

double distance(double a, double b) { return std::abs(a - b); }

}  // namespace

std::string Bleu::definition() const {
  return kind_ == BleuKind::sacrebleu ? "sacreBLEU: nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp"
                                      : "mteval-v13a.pl: BLEU-4 in lower case, as the E2E challenge";
}

std::vector<Statistics> Bleu::statistics(const std::vector<ScoredText>& texts) const {
  const auto words_of = [&](const std::string& text) {
    return words_13a(kind_ == BleuKind::mteval ? lower_case(text) : text);
  };
  std::vector<Statistics> rows;
  for (const ScoredText& text : texts) {
    const Words words = words_of(text.prediction);
    const auto length = static_cast<double>(words.size());
    std::vector<Words> references;
    double closest = -1;
    for (const std::string& reference : text.references) {
      references.push_back(words_of(reference));
      const auto size = static_cast<double>(references.back().size());
      const bool is_closer = closest < 0 || distance(size, length) < distance(closest, length) ||
                             (distance(size, length) == distance(closest, length) && size < closest);
      if (is_closer) closest = size;
    }
    Statistics row(2 + 2 * kOrder, 0.0);
    row[0] = length;
    row[1] = closest;
    const NgramCounts most = largest_counts(references, kOrder);
    for (const auto& [ngram, count] : count_ngrams(words, kOrder)) {
      row[1 + ngram.size()] += std::min(count, count_of(most, ngram));
      row[1 + kOrder + ngram.size()] += count;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

double Bleu::value(const Statistics& sum) const {
  double log_precisions = 0, smoothing = 1;
  bool any = false;
  for (std::size_t n = 1; n <= kOrder; ++n) {
    const double matches = sum[1 + n], total = sum[1 + kOrder + n];
    if (total == 0) return 0;
    if (matches == 0) smoothing *= 2;
    any |= matches > 0;
    log_precisions += std::log(matches > 0 ? matches / total : 1 / (smoothing * total));
  }
  if (!any) return 0;
  const double brevity = sum[0] < sum[1] ? std::exp(1 - sum[1] / sum[0]) : 1;
  return scale() * brevity * std::exp(log_precisions / kOrder);
}

}  // namespace lora
