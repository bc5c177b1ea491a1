#include "lora/eval/score.h"

#include <iostream>

#include "base/json.h"
#include "base/text_table.h"
#include "eval/metrics/estimate.h"
#include "eval/predictions.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/config/check.h"

namespace lora {
namespace {

using Table = std::vector<std::vector<Estimate>>;  ///< [system][metric]

std::vector<Estimate> scores_of(const TextMetric& metric, const std::vector<Predictions>& systems,
                                int samples) {
  const auto value = [&](const Statistics& sum) { return metric.value(sum); };
  std::vector<Estimate> scores;
  const auto first = metric.statistics(systems.front().texts);
  for (const Predictions& system : systems) {
    const bool is_first = &system == &systems.front();
    scores.push_back(is_first ? estimate(first, nullptr, value, samples)
                              : estimate(metric.statistics(system.texts), &first, value, samples));
  }
  return scores;
}

int digits_of(const TextMetric& metric) { return metric.scale() == 1 ? 4 : 2; }

std::string score_table(const std::vector<const TextMetric*>& metrics,
                        const std::vector<Predictions>& systems, const Table& table, std::int64_t samples) {
  std::vector<std::string> header{"metric"};
  for (const Predictions& system : systems) header.push_back(printable(system.name));
  TextTable rows(header);
  for (std::size_t m = 0; m < metrics.size(); ++m) {
    std::vector<std::string> row{metrics[m]->name()};
    for (std::size_t s = 0; s < systems.size(); ++s)
      row.push_back(estimate_text(table[s][m], digits_of(*metrics[m])));
    rows.add(row);
  }
  std::string out = rows.str() + cat("\n", systems.front().texts.size(), " texts");
  if (samples > 0) {
    out += cat("; 95 % intervals by ", samples, " bootstrap samples");
    if (systems.size() > 1) out += "; p: difference from the first, paired randomisation";
  }
  return out + "\n";
}

Json score_json(const std::vector<const TextMetric*>& metrics, const std::vector<Predictions>& systems,
                const Table& table) {
  Json all = Json::array();
  for (std::size_t s = 0; s < systems.size(); ++s) {
    Json scores;
    for (std::size_t m = 0; m < metrics.size(); ++m) scores[metrics[m]->name()] = estimate_json(table[s][m]);
    all.push_back({{"name", systems[s].name}, {"texts", systems[s].texts.size()}, {"scores", scores}});
  }
  Json definitions;
  for (const TextMetric* metric : metrics) definitions[metric->name()] = metric->definition();
  return {{"systems", all}, {"definitions", definitions}};
}

void list_metrics() {
  TextTable table({"metric", "largest", "definition"}, {2});
  for (const std::string& name : text_metric_names()) {
    const TextMetric& metric = find_text_metric(name);
    table.add({name, metric.scale() > 0 ? fixed(metric.scale(), 0) : "-", metric.definition()});
  }
  std::cout << table.str();
}

}  // namespace

int score(const ScoreConfig& config) {
  check_config(config);
  if (config.list) {
    list_metrics();
    return 0;
  }
  std::vector<const TextMetric*> metrics;
  for (const std::string& name : config.metrics) metrics.push_back(&find_text_metric(name));
  const std::vector<Predictions> systems = read_predictions(config.predictions);
  Table table(systems.size());
  for (const TextMetric* metric : metrics) {
    const auto scores = scores_of(*metric, systems, static_cast<int>(config.samples));
    for (std::size_t s = 0; s < systems.size(); ++s) table[s].push_back(scores[s]);
  }
  std::cout << (config.json ? score_json(metrics, systems, table).dump(2) + "\n"
                            : score_table(metrics, systems, table, config.samples))
            << std::flush;
  return 0;
}

}  // namespace lora
