#include "eval/comparison.h"

#include "base/text_table.h"
#include "lora/base/text.h"

namespace lora {
namespace {

const std::string kUnknown = "-";

std::string percent(double share) { return fixed(share * 100, share < 0.001 ? 3 : 2) + " %"; }

std::string accuracy_cell(const Quality& quality) {
  return quality.accuracy ? fixed(*quality.accuracy, 3) : kUnknown;
}

double share(const VariantResult& result, const Comparison& comparison) {
  return static_cast<double>(*result.trainable_parameters) / static_cast<double>(comparison.total_parameters);
}

std::vector<std::string> cells(const VariantResult& result, const Comparison& comparison) {
  const bool counted = result.trainable_parameters && comparison.total_parameters > 0;
  const auto& training = result.training;
  return {result.name,
          fixed(result.quality.loss, 4),
          fixed(result.quality.perplexity, result.quality.perplexity < 1000 ? 2 : 0),
          accuracy_cell(result.quality),
          result.trainable_parameters ? human_count(static_cast<std::uint64_t>(*result.trainable_parameters))
                                      : kUnknown,
          counted ? percent(share(result, comparison)) : kUnknown,
          human_bytes(result.file_bytes),
          training ? human_bytes(training->peak_bytes) : kUnknown,
          training ? human_seconds(training->train_seconds) : kUnknown,
          result.latency ? fixed(result.latency->median_ms, 1) + (result.interleaved ? "" : "*") : kUnknown};
}

Json latency_json(const VariantResult& result) {
  if (!result.latency) return nullptr;
  return {{"median_ms", result.latency->median_ms},
          {"least_ms", result.latency->least_ms},
          {"most_ms", result.latency->most_ms},
          {"repeats", result.latency->repeats},
          {"interleaved", result.interleaved}};
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
          {"best_step", run.best_step},
          {"best_valid_loss", run.best_valid_loss ? Json(*run.best_valid_loss) : Json()},
          {"cpu", run.cpu}};
}

Json variant_json(const VariantResult& result, const Comparison& comparison) {
  const bool counted = result.trainable_parameters && comparison.total_parameters > 0;
  return {{"name", result.name},
          {"kind", result.kind},
          {"path", result.path},
          {"loss", result.quality.loss},
          {"perplexity", result.quality.perplexity},
          {"accuracy", result.quality.accuracy ? Json(*result.quality.accuracy) : Json()},
          {"trainable_parameters", result.trainable_parameters ? Json(*result.trainable_parameters) : Json()},
          {"trainable_share", counted ? Json(share(result, comparison)) : Json()},
          {"file_bytes", result.file_bytes},
          {"training", training_json(result)},
          {"latency", latency_json(result)}};
}

}  // namespace

std::string comparison_table(const Comparison& comparison) {
  TextTable table({"variant", "loss", "perplexity", "accuracy", "trainable", "share", "file", "train peak",
                   "train time", "latency ms"});
  bool alone = false, timed = false;
  for (const VariantResult& result : comparison.variants) {
    table.add(cells(result, comparison));
    timed |= result.latency.has_value();
    alone |= result.latency && !result.interleaved;
  }
  std::string text = table.str();
  text += cat("\n", comparison.data_path, ": ", comparison.rows, " rows, ", comparison.labelled,
              " labelled; loss in nats per labelled ", comparison.classification ? "row" : "token", "\n");
  if (!comparison.label_words.empty()) {
    text += cat("accuracy over ", comparison.rows, " rows, best of ", comparison.label_words.size(),
                " words: ", printable(join(comparison.label_words, " |")), "\n");
  }
  if (timed) {
    text += cat("latency: median forward pass of ", comparison.latency_rows, " x ", comparison.latency_tokens,
                " tokens, variants in turn",
                alone ? " (* timed alone: does not fit in memory beside the others)" : "", "\n");
  }
  return text +
         cat(comparison.cpu, ", ", comparison.threads, " threads, LibTorch ", comparison.torch_version, "\n");
}

Json comparison_json(const Comparison& comparison) {
  Json variants = Json::array();
  for (const VariantResult& result : comparison.variants)
    variants.push_back(variant_json(result, comparison));
  return {{"model", comparison.model_path},
          {"total_parameters", comparison.total_parameters},
          {"data",
           {{"path", comparison.data_path},
            {"sha256", comparison.data_sha256},
            {"rows", comparison.rows},
            {"tokens", comparison.tokens},
            {"labelled", comparison.labelled}}},
          {"label_words", comparison.label_words},
          {"latency_batch", {{"rows", comparison.latency_rows}, {"tokens", comparison.latency_tokens}}},
          {"cpu", comparison.cpu},
          {"threads", comparison.threads},
          {"libtorch", comparison.torch_version},
          {"variants", variants}};
}

}  // namespace lora
