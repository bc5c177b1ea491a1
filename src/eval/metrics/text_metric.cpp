#include "eval/metrics/text_metric.h"

#include <algorithm>

#include "eval/metrics/bleu.h"
#include "eval/metrics/chrf.h"
#include "eval/metrics/cider.h"
#include "eval/metrics/exact.h"
#include "eval/metrics/meteor.h"
#include "eval/metrics/nist.h"
#include "eval/metrics/rouge.h"
#include "eval/metrics/ter.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

const std::vector<std::unique_ptr<TextMetric>>& table() {
  static const auto metrics = [] {
    std::vector<std::unique_ptr<TextMetric>> all;
    all.push_back(std::make_unique<ExactMatch>());
    all.push_back(std::make_unique<TokenF1>());
    all.push_back(std::make_unique<Bleu>(BleuKind::sacrebleu));
    all.push_back(std::make_unique<Bleu>(BleuKind::mteval));
    all.push_back(std::make_unique<Nist>());
    all.push_back(std::make_unique<RougeN>(1));
    all.push_back(std::make_unique<RougeN>(2));
    all.push_back(std::make_unique<RougeL>());
    all.push_back(std::make_unique<CocoRougeL>());
    all.push_back(std::make_unique<Meteor>());
    all.push_back(std::make_unique<Cider>());
    all.push_back(std::make_unique<Chrf>(0));
    all.push_back(std::make_unique<Chrf>(2));
    all.push_back(std::make_unique<Ter>());
    return all;
  }();
  return metrics;
}

}  // namespace

double TextMetric::score(const std::vector<ScoredText>& texts) const {
  return value(sum_of(statistics(texts)));
}

std::vector<Statistics> MeanMetric::statistics(const std::vector<ScoredText>& texts) const {
  std::vector<Statistics> rows;
  for (const ScoredText& text : texts) rows.push_back({text_score(text), 1});
  return rows;
}

double BestReferenceMetric::text_score(const ScoredText& text) const {
  const Words prediction = words(text.prediction);
  double best = 0;
  for (const std::string& reference : text.references)
    best = std::max(best, pair_score(prediction, words(reference)));
  return best;
}

Statistics sum_of(const std::vector<Statistics>& rows) {
  Statistics sum(rows.empty() ? 0 : rows[0].size(), 0.0);
  for (const Statistics& row : rows) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += row[i];
  }
  return sum;
}

std::vector<std::string> text_metric_names() {
  std::vector<std::string> names;
  for (const auto& metric : table()) names.push_back(metric->name());
  return names;
}

const TextMetric& find_text_metric(const std::string& name) {
  for (const auto& metric : table()) {
    if (metric->name() == name) return *metric;
  }
  const auto nearest = nearest_names(name, text_metric_names());
  throw Error(ExitCode::usage, cat("no metric is called \"", printable(name), "\""),
              cat("use ", join(nearest.empty() ? text_metric_names() : nearest, ", ")));
}

}  // namespace lora
