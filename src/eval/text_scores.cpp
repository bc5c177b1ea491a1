#include "eval/text_scores.h"

#include <utility>

#include "base/text_table.h"
#include "lora/base/text.h"

namespace lora {

std::string TextScores::table() const {
  std::vector<std::string> header{"metric"};
  for (const std::string& name : names) header.push_back(printable(name));
  TextTable rows(header);
  for (std::size_t m = 0; m < metrics.size(); ++m) {
    std::vector<std::string> row{metrics[m]->name()};
    for (const auto& system : values) row.push_back(estimate_text(system[m], metrics[m]->digits()));
    rows.add(row);
  }
  return rows.str();
}

Json TextScores::json(std::size_t system) const {
  Json scores = Json::object();
  for (std::size_t m = 0; m < metrics.size(); ++m)
    scores[metrics[m]->name()] = estimate_json(values[system][m]);
  return scores;
}

Json TextScores::definitions() const {
  Json definitions = Json::object();
  for (const TextMetric* metric : metrics) definitions[metric->name()] = metric->definition();
  return definitions;
}

std::vector<const TextMetric*> find_text_metrics(const std::vector<std::string>& names) {
  std::vector<const TextMetric*> metrics;
  for (const std::string& name : names) metrics.push_back(&find_text_metric(name));
  return metrics;
}

TextScores score_texts(std::vector<const TextMetric*> metrics, std::vector<std::string> names,
                       const std::vector<std::vector<ScoredText>>& texts, std::size_t baseline, int samples) {
  TextScores scores{std::move(metrics), std::move(names), {}, texts[baseline].size()};
  scores.values.resize(texts.size());
  for (const TextMetric* metric : scores.metrics) {
    const auto value = [metric](const Statistics& sum) { return metric->value(sum); };
    const auto others = metric->statistics(texts[baseline]);
    for (std::size_t s = 0; s < texts.size(); ++s)
      scores.values[s].push_back(s == baseline
                                     ? estimate(others, nullptr, value, samples)
                                     : estimate(metric->statistics(texts[s]), &others, value, samples));
  }
  return scores;
}

}  // namespace lora
