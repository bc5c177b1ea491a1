#include "eval/comparison.h"

#include <cmath>
#include <set>

#include "base/text_table.h"
#include "lora/base/text.h"

namespace lora {
namespace {

const std::string kUnknown = "-";

std::string percent(double share) { return fixed(share * 100, share < 0.001 ? 3 : 2) + " %"; }

/// Figures of the main table beside the loss.
std::vector<std::string> shown_figures(Task task) {
  if (task == Task::regression) return {"pearson", "spearman"};
  return {"perplexity", "accuracy"};
}

std::string figure(const VariantResult& result, const std::string& name) {
  const double perplexity = std::exp(result.quality.loss);
  if (name == "perplexity") return fixed(perplexity, perplexity < 1000 ? 2 : 0);
  if (name == "accuracy") return result.quality.accuracy ? fixed(*result.quality.accuracy, 3) : kUnknown;
  for (const Measure& measure : result.measures) {
    if (measure.name == name) return fixed(measure.value, measure.digits());
  }
  return kUnknown;
}

/// Figures whose intervals fit a terminal.
bool has_shown_interval(const std::string& name) {
  static const std::set<std::string> names = {"loss", "accuracy", "accuracy_by_byte", "pearson", "spearman"};
  return names.count(name) > 0;
}

double share(const VariantResult& result, const Comparison& comparison) {
  return static_cast<double>(*result.trainable_parameters) / static_cast<double>(comparison.total_parameters);
}

std::vector<std::string> cells(const VariantResult& result, const Comparison& comparison) {
  const bool counted = result.trainable_parameters && comparison.total_parameters > 0;
  const auto& training = result.training;
  const auto figures = shown_figures(comparison.task);
  return {printable(result.name),
          fixed(result.quality.loss, 4),
          figure(result, figures[0]),
          figure(result, figures[1]),
          result.trainable_parameters ? human_count(static_cast<std::uint64_t>(*result.trainable_parameters))
                                      : kUnknown,
          counted ? percent(share(result, comparison)) : kUnknown,
          human_bytes(result.file_bytes),
          training ? human_bytes(training->peak_bytes) : kUnknown,
          training ? human_seconds(training->train_seconds) : kUnknown,
          result.latency ? fixed(result.latency->median_ms, 1) + (result.interleaved ? "" : "*") : kUnknown};
}

Json times_json(const Latency& latency) {
  return {{"median_ms", latency.median_ms}, {"least_ms", latency.least_ms}, {"most_ms", latency.most_ms}};
}

Json latency_json(const VariantResult& result) {
  if (!result.latency) return nullptr;
  Json json = times_json(*result.latency);
  json["repeats"] = result.latency->repeats;
  json["interleaved"] = result.interleaved;
  return json;
}

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

Json training_json(const VariantResult& result) {
  if (!result.training) return nullptr;
  const RunReport& run = *result.training;
  return {{"method", run.method},
          {"updates", run.updates},
          {"tokens", run.tokens},
          {"seconds", run.train_seconds},
          {"tokens_per_second", run.tokens_per_second},
          {"peak_bytes", run.peak_bytes},
          {"base_bytes", or_null(run.base_bytes)},
          {"trained_bytes", or_null(run.trained_bytes)},
          {"optimizer_bytes", or_null(run.optimizer_bytes)},
          {"activation_bytes", or_null(run.activation_bytes)},
          {"median_step_seconds", or_null(run.median_step_seconds)},
          {"best_step", run.best_step},
          {"best_valid_loss", or_null(run.best_valid_loss)},
          {"cpu", run.cpu}};
}

Json measures_json(const VariantResult& result) {
  Json json = Json::object();
  for (const Measure& measure : result.measures) json[measure.name] = estimate_json(measure);
  return json;
}

Json latencies_json(const VariantResult& result, const Comparison& comparison) {
  Json json = Json::object();
  for (std::size_t i = 0; i < result.latencies.size(); ++i)
    json[comparison.latency_shapes[i]] = times_json(result.latencies[i]);
  return json;
}

Json decode_latencies_json(const VariantResult& result, const Comparison& comparison) {
  Json json = Json::object();
  for (std::size_t i = 0; i < result.decode_latencies.size(); ++i)
    json[comparison.decode_shapes[i]] = {
        {"first_token", times_json(result.decode_latencies[i].first_token)},
        {"further_token", times_json(result.decode_latencies[i].further_token)}};
  return json;
}

Json texts_json(const Comparison& comparison) {
  if (!comparison.texts) return nullptr;
  return {{"rows", comparison.texts->texts},
          {"max_new_tokens", comparison.max_new_tokens},
          {"definitions", comparison.texts->definitions()}};
}

Json variant_json(std::size_t number, const Comparison& comparison) {
  const VariantResult& result = comparison.variants[number];
  const bool counted = result.trainable_parameters && comparison.total_parameters > 0;
  return {{"name", result.name},
          {"kind", result.kind},
          {"path", result.path},
          {"loss", result.quality.loss},
          {"perplexity", comparison.task == Task::regression ? Json() : Json(std::exp(result.quality.loss))},
          {"accuracy", or_null(result.quality.accuracy)},
          {"trainable_parameters", or_null(result.trainable_parameters)},
          {"trainable_share", counted ? Json(share(result, comparison)) : Json()},
          {"file_bytes", result.file_bytes},
          {"training", training_json(result)},
          {"latency", latency_json(result)},
          {"measures", measures_json(result)},
          {"general_loss", result.general ? estimate_json(*result.general) : Json()},
          {"latencies", latencies_json(result, comparison)},
          {"decode_latencies", decode_latencies_json(result, comparison)},
          {"text_scores", comparison.texts ? comparison.texts->json(number) : Json()},
          {"answers", result.answers}};
}

/// Perplexity by token and by byte; empty if bytes were not counted.
std::string byte_table(const Comparison& comparison) {
  if (comparison.labelled_bytes == 0) return "";
  TextTable table({"variant", "perplexity per token", "perplexity per byte", "bits per byte"});
  for (const VariantResult& result : comparison.variants) {
    std::vector<std::string> row{printable(result.name)};
    for (const Measure& measure : result.measures) {
      if (measure.name == "perplexity_per_token" || measure.name == "perplexity_per_byte" ||
          measure.name == "bits_per_byte")
        row.push_back(fixed(measure.value, measure.digits()));
    }
    table.add(row);
  }
  return cat("\n", table.str(), "\nover ", comparison.labelled_bytes, " bytes of labelled text\n");
}

/// The chief figures with their intervals; empty if there are none.
std::string interval_table(const Comparison& comparison) {
  const auto& first = comparison.variants[0];
  if (first.measures.empty() || !first.measures[0].interval) return "";
  std::vector<std::string> header{"variant"};
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < first.measures.size(); ++i) {
    if (!has_shown_interval(first.measures[i].name)) continue;
    shown.push_back(i);
    header.push_back(first.measures[i].name);
  }
  if (first.general) header.emplace_back("general loss");
  TextTable table(header);
  for (const VariantResult& result : comparison.variants) {
    std::vector<std::string> row{printable(result.name)};
    for (const std::size_t i : shown)
      row.push_back(estimate_text(result.measures[i], result.measures[i].digits()));
    if (result.general) row.push_back(estimate_text(*result.general, result.general->digits()));
    table.add(row);
  }
  return cat("\n", table.str(), "\n95 % bootstrap intervals over rows; p: difference from ",
             printable(comparison.baseline), ", paired randomisation; more figures by --report and --json\n");
}

std::string text_table(const Comparison& comparison) {
  if (!comparison.texts) return "";
  std::string out = cat("\n", comparison.texts->table(), "\nlikeliest answers to ", comparison.texts->texts,
                        " prompts, at most ", comparison.max_new_tokens, " tokens");
  if (comparison.texts->values[0][0].interval)
    out += cat("; 95 % bootstrap intervals over rows; p: difference from ", printable(comparison.baseline));
  return out + "\n";
}

/// Milliseconds, and their ratio to another's.
std::string time_cell(const Latency& latency, const Latency& other) {
  return cat(fixed(latency.median_ms, 1), " (", fixed(latency.median_ms / other.median_ms, 2), ")");
}

/// Milliseconds of writing with a cache; empty if nothing was timed or no variant has one.
std::string decode_table(const Comparison& comparison) {
  std::vector<const VariantResult*> timed;
  for (const VariantResult& result : comparison.variants) {
    if (!result.decode_latencies.empty()) timed.push_back(&result);
  }
  if (timed.empty()) return "";
  std::vector<std::string> header{"with the cache, ms"};
  for (const std::string& shape : comparison.decode_shapes) {
    header.push_back(shape + ": first token");
    header.emplace_back("further token");
  }
  TextTable table(header);
  const auto& first = timed[0]->decode_latencies;
  for (const VariantResult* result : timed) {
    std::vector<std::string> row{printable(result->name)};
    for (std::size_t i = 0; i < first.size(); ++i) {
      row.push_back(time_cell(result->decode_latencies[i].first_token, first[i].first_token));
      row.push_back(time_cell(result->decode_latencies[i].further_token, first[i].further_token));
    }
    table.add(row);
  }
  return cat("\n", table.str(), "\nrows x tokens of prompts; medians, variants in turn\n");
}

/// Milliseconds, and their ratio to the first variant's; empty if nothing was timed.
std::string latency_table(const Comparison& comparison) {
  const auto& first = comparison.variants[0].latencies;
  if (first.empty()) return "";
  std::vector<std::string> header{"forward pass, ms"};
  header.insert(header.end(), comparison.latency_shapes.begin(), comparison.latency_shapes.end());
  TextTable table(header);
  for (const VariantResult& result : comparison.variants) {
    if (result.latencies.empty()) continue;
    std::vector<std::string> row{printable(result.name)};
    for (std::size_t i = 0; i < first.size(); ++i) row.push_back(time_cell(result.latencies[i], first[i]));
    table.add(row);
  }
  return cat("\n", table.str(), "\nmedians, variants in turn; in brackets the ratio to the first\n");
}

}  // namespace

std::string comparison_table(const Comparison& comparison) {
  const auto figures = shown_figures(comparison.task);
  TextTable table({"variant", "loss", figures[0], figures[1], "trainable", "share", "file", "train peak",
                   "train time", "latency ms"});
  bool alone = false, timed = false;
  for (const VariantResult& result : comparison.variants) {
    table.add(cells(result, comparison));
    timed |= result.latency.has_value();
    alone |= result.latency && !result.interleaved;
  }
  std::string text = table.str();
  text += cat("\n", printable(comparison.data_path), ": ", comparison.rows, " rows, ", comparison.labelled,
              " labelled; loss in ", loss_unit(comparison.task), "\n");
  if (!comparison.label_words.empty()) {
    text += cat("accuracy over ", comparison.rows, " rows, best of ", comparison.label_words.size(),
                " words: ", printable(join(comparison.label_words, " |")), "\n");
  }
  if (comparison.own_choices) {
    text += cat("accuracy over ", comparison.rows,
                " rows, likeliest of each row's choices; by byte: highest "
                "log-likelihood per byte of the choice\n");
  }
  if (timed) {
    text += cat("latency: median forward pass of ", comparison.latency_rows, " x ", comparison.latency_tokens,
                " tokens, variants in turn",
                alone ? " (* timed alone: does not fit in memory beside the others)" : "", "\n");
  }
  return text + byte_table(comparison) + interval_table(comparison) + text_table(comparison) +
         latency_table(comparison) + decode_table(comparison) + "\n" +
         cat(comparison.cpu, ", ", comparison.threads, " threads, LibTorch ", comparison.torch_version, "\n");
}

Json comparison_json(const Comparison& comparison) {
  Json variants = Json::array();
  for (std::size_t i = 0; i < comparison.variants.size(); ++i)
    variants.push_back(variant_json(i, comparison));
  return {{"model", comparison.model_path},
          {"total_parameters", comparison.total_parameters},
          {"data",
           {{"path", comparison.data_path},
            {"sha256", comparison.data_sha256},
            {"rows", comparison.rows},
            {"tokens", comparison.tokens},
            {"labelled", comparison.labelled},
            {"labelled_bytes", comparison.labelled_bytes}}},
          {"label_words", comparison.label_words},
          {"baseline", comparison.baseline},
          {"general", comparison.general_path.empty() ? Json() : Json(comparison.general_path)},
          {"prompts", comparison.prompts},
          {"expected", comparison.expected},
          {"texts", texts_json(comparison)},
          {"latency_batch", {{"rows", comparison.latency_rows}, {"tokens", comparison.latency_tokens}}},
          {"cpu", comparison.cpu},
          {"threads", comparison.threads},
          {"libtorch", comparison.torch_version},
          {"variants", variants}};
}

}  // namespace lora
