#include "lora/eval/score.h"

#include <iostream>
#include <optional>

#include "base/json.h"
#include "base/text_table.h"
#include "eval/metrics/bootstrap.h"
#include "eval/predictions.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/config/check.h"

namespace lora {
namespace {

/// One measure of one system.
struct Score {
  double value = 0;
  std::optional<Interval> interval;
  std::optional<double> p_value;  ///< of the difference from the first system
};

using Table = std::vector<std::vector<Score>>;  ///< [system][metric]

std::vector<Score> scores_of(const TextMetric& metric, const std::vector<Predictions>& systems, int samples) {
  const auto value = [&](const Statistics& sum) { return metric.value(sum); };
  std::vector<Score> scores;
  std::vector<Statistics> first;
  for (const Predictions& system : systems) {
    const auto rows = metric.statistics(system.texts);
    Score score{metric.value(sum_of(rows)), {}, {}};
    if (samples > 0) score.interval = bootstrap_interval(rows, value, samples);
    if (samples > 0 && !first.empty()) score.p_value = paired_p_value(first, rows, value, samples);
    if (first.empty()) first = rows;
    scores.push_back(score);
  }
  return scores;
}

std::string cell(const TextMetric& metric, const Score& score) {
  const int digits = metric.scale() == 1 ? 4 : 2;
  std::string text = fixed(score.value, digits);
  if (score.interval)
    text += cat(" [", fixed(score.interval->low, digits), ", ", fixed(score.interval->high, digits), "]");
  if (score.p_value) text += cat(" p ", fixed(*score.p_value, 3));
  return text;
}

std::string score_table(const std::vector<const TextMetric*>& metrics,
                        const std::vector<Predictions>& systems, const Table& table, std::int64_t samples) {
  std::vector<std::string> header{"metric"};
  for (const Predictions& system : systems) header.push_back(printable(system.name));
  TextTable rows(header);
  for (std::size_t m = 0; m < metrics.size(); ++m) {
    std::vector<std::string> row{metrics[m]->name()};
    for (std::size_t s = 0; s < systems.size(); ++s) row.push_back(cell(*metrics[m], table[s][m]));
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
    for (std::size_t m = 0; m < metrics.size(); ++m) {
      const Score& score = table[s][m];
      Json json = {{"value", score.value}};
      if (score.interval) json["interval"] = {score.interval->low, score.interval->high};
      if (score.p_value) json["p_value"] = *score.p_value;
      scores[metrics[m]->name()] = json;
    }
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
