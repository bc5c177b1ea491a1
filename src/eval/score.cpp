#include "lora/eval/score.h"

#include <iostream>

#include "base/text_table.h"
#include "eval/predictions.h"
#include "eval/text_scores.h"
#include "lora/base/text.h"
#include "lora/config/check.h"

namespace lora {
namespace {

TextScores scores_of(const std::vector<const TextMetric*>& metrics, const std::vector<Predictions>& systems,
                     std::int64_t samples) {
  std::vector<std::string> names;
  std::vector<std::vector<ScoredText>> texts;
  for (const Predictions& system : systems) {
    names.push_back(system.name);
    texts.push_back(system.texts);
  }
  return score_texts(metrics, names, texts, 0, static_cast<int>(samples));
}

std::string score_table(const TextScores& scores, std::int64_t samples) {
  std::string out = scores.table() + cat("\n", scores.texts, " texts");
  if (samples > 0) {
    out += cat("; 95 % intervals by ", samples, " bootstrap samples");
    if (scores.names.size() > 1) out += "; p: difference from the first, paired randomisation";
  }
  return out + "\n";
}

Json score_json(const TextScores& scores) {
  Json all = Json::array();
  for (std::size_t s = 0; s < scores.names.size(); ++s)
    all.push_back({{"name", scores.names[s]}, {"texts", scores.texts}, {"scores", scores.json(s)}});
  return {{"systems", all}, {"definitions", scores.definitions()}};
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
  const auto metrics = find_text_metrics(config.metrics);
  const TextScores scores = scores_of(metrics, read_predictions(config.predictions), config.samples);
  std::cout << (config.json ? score_json(scores).dump(2) + "\n" : score_table(scores, config.samples))
            << std::flush;
  return 0;
}

}  // namespace lora
