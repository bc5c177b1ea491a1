#include "eval/metrics/chrf.h"

#include <algorithm>

#include "eval/metrics/words.h"
#include "lora/base/text.h"
#include "tokenizer/unicode.h"

namespace lora {
namespace {

constexpr std::size_t kCharOrder = 6;
constexpr double kBeta = 2;
constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

Words characters(const std::string& text) {
  Words all;
  for (const std::string& word : split_words(text)) {
    for (std::size_t at = 0; at < word.size();) all.push_back(to_utf8(next_char(word, at)));
  }
  return all;
}

/// Words with one punctuation mark behind or before them taken apart.
Words chrf_words(const std::string& text) {
  Words all;
  for (const std::string& word : split_words(text)) {
    const bool behind = kPunctuation.find(word.back()) != std::string_view::npos;
    const bool before = kPunctuation.find(word.front()) != std::string_view::npos;
    if (count_chars(word) > 1 && behind) {
      all.push_back(word.substr(0, word.size() - 1));
      all.push_back(word.substr(word.size() - 1));
    } else if (count_chars(word) > 1 && before) {
      all.push_back(word.substr(0, 1));
      all.push_back(word.substr(1));
    } else {
      all.push_back(word);
    }
  }
  return all;
}

/// Adds {n-grams of `found`, of `expected`, common ones} of each order. As in sacreBLEU, a text's n-grams count
/// only where the reference has some of their order.
void add_orders(Statistics& row, const Words& found, const Words& expected, std::size_t orders,
                std::size_t first) {
  const NgramCounts in_reference = count_ngrams(expected, orders);
  const auto at = [&](const Words& ngram) { return 3 * (first + ngram.size() - 1); };
  for (const auto& [ngram, count] : in_reference) row[at(ngram) + 1] += count;
  for (const auto& [ngram, count] : count_ngrams(found, orders)) {
    if (row[at(ngram) + 1] > 0) row[at(ngram)] += count;
    row[at(ngram) + 2] += std::min(count, count_of(in_reference, ngram));
  }
}

}  // namespace

std::string Chrf::definition() const {
  return cat("sacreBLEU: nrefs:var|case:mixed|eff:yes|nc:6|nw:", word_order_, "|space:no");
}

std::vector<Statistics> Chrf::statistics(const std::vector<ScoredText>& texts) const {
  std::vector<Statistics> rows;
  for (const ScoredText& text : texts) {
    Statistics best;
    double highest = -1;
    for (const std::string& reference : text.references) {
      Statistics row(3 * (kCharOrder + word_order_), 0.0);
      add_orders(row, characters(text.prediction), characters(reference), kCharOrder, 0);
      if (word_order_ > 0)
        add_orders(row, chrf_words(text.prediction), chrf_words(reference), word_order_, kCharOrder);
      const double score = value(row);
      if (score > highest) {
        highest = score;
        best = std::move(row);
      }
    }
    rows.push_back(std::move(best));
  }
  return rows;
}

double Chrf::value(const Statistics& sum) const {
  constexpr double kFactor = kBeta * kBeta;
  double precision = 0, recall = 0, orders = 0;
  for (std::size_t i = 0; i < sum.size(); i += 3) {
    if (sum[i] == 0 || sum[i + 1] == 0) continue;
    precision += sum[i + 2] / sum[i];
    recall += sum[i + 2] / sum[i + 1];
    ++orders;
  }
  if (orders == 0 || precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  return 100 * (1 + kFactor) * precision * recall / (kFactor * precision + recall);
}

}  // namespace lora
