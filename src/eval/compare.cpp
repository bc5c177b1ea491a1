#include "lora/eval/compare.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <iostream>

#include "eval/comparison.h"
#include "eval/device_batch.h"
#include "eval/loaded_model.h"
#include "eval/variant.h"
#include "eval/variant_spec.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/process.h"

namespace lora {
namespace {

/// Rows of the timed batch: enough for matrix products, few enough for any machine.
constexpr std::size_t kLatencyRows = 8;

/// What every variant is measured on.
struct Bench {
  const CompareConfig& config;
  at::Device device;
  Evaluation evaluation;
  Batch timed;
};

VariantResult measure(const Variant& variant, const Bench& bench) {
  VariantResult result;
  result.name = variant.spec().name;
  result.kind = to_string(variant.spec().kind);
  result.path = variant.spec().path.string();
  result.trainable_parameters = variant.trainable_parameters();
  result.file_bytes = variant.file_bytes();
  result.training = variant.training();
  result.quality = variant.run(
      [&](const Executable& executable) { return bench.evaluation.run(executable, bench.device); });
  return result;
}

void time_together(const std::vector<std::pair<const Variant*, VariantResult*>>& group, const Bench& bench) {
  if (bench.config.latency_repeats == 0) return;
  const at::NoGradGuard no_grad;
  std::vector<std::function<void()>> calls;
  for (const auto& [variant, result] : group) {
    calls.push_back([&bench, variant = variant] {
      variant->run([&](const Executable& executable) {
        // Reading a value waits for the device.
        return executable.logits(bench.timed.inputs).flatten()[0].item<float>();
      });
    });
  }
  const auto latencies = interleaved_latencies(calls, bench.config.latency_repeats, monotonic_seconds);
  for (std::size_t i = 0; i < group.size(); ++i) {
    group[i].second->latency = latencies[i];
    group[i].second->interleaved = group.size() > 1;
  }
}

/// True if a model file may stay in memory: room for another of its size with its activations.
bool may_stay(const Variant& variant) {
  const std::uint64_t available = available_bytes();
  return !variant.owns_model() || available == 0 || available > 2 * variant.file_bytes() + (1ULL << 29);
}

std::vector<VariantResult> measure_all(const std::vector<VariantSpec>& specs, LoadedModel& base,
                                       const Bench& bench) {
  std::vector<VariantResult> results(specs.size());
  std::vector<std::unique_ptr<Variant>> resident;
  std::vector<std::pair<const Variant*, VariantResult*>> together;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const double start = monotonic_seconds();
    auto variant = std::make_unique<Variant>(specs[i], base);
    results[i] = measure(*variant, bench);
    log_info("eval", specs[i].name, " (", i + 1, "/", specs.size(), ")  loss ",
             fixed(results[i].quality.loss, 4),
             results[i].quality.accuracy ? "  accuracy " + fixed(*results[i].quality.accuracy, 3) : "", "  ",
             human_seconds(monotonic_seconds() - start));
    if (may_stay(*variant)) {
      together.emplace_back(variant.get(), &results[i]);
      resident.push_back(std::move(variant));
    } else {
      time_together({{variant.get(), &results[i]}}, bench);
    }
  }
  time_together(together, bench);
  if (specs.size() == 1) results.front().interleaved = true;
  return results;
}

/// Adapters are small: all are read and fitted before the first evaluation, so that a wrong one costs
/// seconds.
void check_adapters(const std::vector<VariantSpec>& specs, LoadedModel& base) {
  for (const VariantSpec& spec : specs) {
    if (spec.kind == VariantSpec::Kind::adapter) Variant(spec, base);
  }
}

Batch timed_batch(const EncodedSet& set, const LoadedModel& base) {
  std::vector<const EncodedRow*> rows;
  for (const EncodedRow& row : set.rows) {
    if (rows.size() < kLatencyRows) rows.push_back(&row);
  }
  const bool classification = base.program.info().task == Task::classification;
  return to_device(make_batch(rows, base.pad_id(), classification), base.program.device());
}

void print(const Comparison& comparison, const std::string& json_path) {
  if (json_path != "-") std::cout << comparison_table(comparison) << std::flush;
  if (json_path.empty()) return;
  const std::string json = comparison_json(comparison).dump(2) + "\n";
  if (json_path == "-") {
    std::cout << json << std::flush;
  } else {
    write_file_atomically(json_path, json);
  }
}

}  // namespace

int compare(const CompareConfig& config) {
  const std::vector<VariantSpec> specs = parse_variants(config.variant);
  const int threads = use_threads(config.model.threads);
  const DataSet data = read_data(config.data.path, read_options(config.data));
  LoadedModel base = load_model(config.model, data);
  check_adapters(specs, base);
  const EncodeOptions options = base.encoding(config.data);
  const EncodedSet rows = encode(data, *base.tokenizer, options, threads);
  log_info("eval", config.data.path, ": ", rows.report.summary());
  const Task task = base.program.info().task;
  Bench bench{config,
              base.program.device(),
              {rows.rows, task, base.pad_id(), config.batch_tokens},
              timed_batch(rows, base)};
  std::vector<std::string> words;
  if (task == Task::language_model) words = find_label_words(data, config.label_words);
  if (!words.empty()) bench.evaluation.add_label_words(data, words, *base.tokenizer, options);

  Comparison comparison;
  comparison.model_path = config.model.path;
  comparison.data_path = config.data.path;
  comparison.data_sha256 = data.sha256;
  comparison.cpu = cpu_name();
  comparison.torch_version = TORCH_VERSION;
  comparison.threads = threads;
  comparison.classification = task == Task::classification;
  comparison.total_parameters = parameter_count(base.program);
  comparison.rows = rows.report.rows;
  comparison.tokens = rows.report.tokens;
  comparison.labelled = rows.report.labelled;
  comparison.label_words = words;
  comparison.latency_rows = bench.timed.rows;
  comparison.latency_tokens = bench.timed.time;
  comparison.variants = measure_all(specs, base, bench);
  print(comparison, config.json);
  return 0;
}

}  // namespace lora
