#include "lora/eval/compare.h"

#include <torch/headeronly/version.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <optional>

#include "base/report_text.h"
#include "eval/answers.h"
#include "eval/comparison.h"
#include "eval/labelled_bytes.h"
#include "eval/loaded_model.h"
#include "eval/loss_curve.h"
#include "eval/report/html_report.h"
#include "eval/variant.h"
#include "eval/variant_latency.h"
#include "eval/variant_spec.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kNamedLines = 10;
constexpr std::int64_t kGeneralWindow = 256;  ///< tokens of general text that count as a row

/// What every variant is measured on.
struct Bench {
  const CompareConfig& config;
  const LoadedModel& base;
  Evaluation evaluation;
  std::vector<std::int64_t> bytes;  ///< of each row's labelled text; empty: not counted
  std::optional<Evaluation> general;
  VariantLatency latency;
  Answers answers;

  at::Device device() const { return base.program.device(); }
};

/// Figures of such a model would be NaN, and comparisons with them meaningless.
void refuse_non_finite(const std::string& name, const std::string& data, const Quality& quality) {
  std::vector<std::string> lines;
  for (const RowOutcome& outcome : quality.outcomes) {
    if (!std::isfinite(outcome.loss)) lines.push_back(std::to_string(outcome.line));
  }
  if (lines.empty()) return;
  throw Error(ExitCode::diverged,
              cat("variant \"", printable(name), "\" predicts NaN or Inf for ", lines.size(), " of ",
                  quality.rows, " rows of ", data, ": line ", join_first(lines, kNamedLines)),
              "its training diverged, or its numbers overflow: leave the variant out");
}

VariantResult measure(const Variant& variant, const Bench& bench) {
  VariantResult result;
  result.name = variant.spec().name;
  result.kind = to_string(variant.spec().kind);
  result.path = variant.spec().path.string();
  result.trainable_parameters = variant.trainable_parameters();
  result.file_bytes = variant.file_bytes();
  result.training = variant.training();
  result.loss_curve = loss_curve(variant.spec());
  variant.run([&](const Executable& executable) {
    result.quality = bench.evaluation.run(executable, bench.device());
    refuse_non_finite(result.name, bench.config.data.path, result.quality);
    if (!bench.general) return;
    result.general_quality = bench.general->run(executable, bench.device());
    refuse_non_finite(result.name, bench.config.general, *result.general_quality);
  });
  set_bytes(result.quality, bench.bytes);
  result.answers = bench.answers.by(variant);
  return result;
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
  TimedVariants together;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const double start = monotonic_seconds();
    auto variant = std::make_unique<Variant>(specs[i], base);
    results[i] = measure(*variant, bench);
    log_info("eval", printable(specs[i].name), " (", i + 1, "/", specs.size(), ")  loss ",
             fixed(results[i].quality.loss, 4),
             results[i].quality.accuracy ? "  accuracy " + fixed(*results[i].quality.accuracy, 3) : "", "  ",
             human_seconds(monotonic_seconds() - start));
    if (may_stay(*variant)) {
      together.emplace_back(variant.get(), &results[i]);
      resident.push_back(std::move(variant));
    } else {
      bench.latency.time_batch({{variant.get(), &results[i]}});
    }
  }
  bench.latency.time_batch(together);
  if (specs.size() == 1) results.front().interleaved = true;
  // Ratios to those that were timed alone would mean little.
  if (together.size() > 1 || specs.size() == 1) bench.latency.time_shapes(together);
  return results;
}

/// Intervals and significance of what was measured.
void compare_figures(Comparison& comparison, const CompareConfig& config,
                     const std::vector<std::string>& classes) {
  const auto baseline =
      std::find_if(comparison.variants.begin(), comparison.variants.end(),
                   [&](const VariantResult& result) { return result.name == comparison.baseline; });
  const auto samples = static_cast<int>(config.samples);
  for (VariantResult& result : comparison.variants) {
    const bool is_baseline = &result == &*baseline;
    result.measures =
        measures_of(result.quality, is_baseline ? nullptr : &baseline->quality, classes, samples);
    if (!result.general_quality) continue;
    result.general = measures_of(*result.general_quality, is_baseline ? nullptr : &*baseline->general_quality,
                                 {}, samples)[0];
  }
}

/// What was asked of the texts that the variants wrote.
void compare_texts(Comparison& comparison, const CompareConfig& config,
                   const std::vector<const TextMetric*>& metrics, const Answers& answers) {
  if (metrics.empty()) return;
  std::vector<std::string> names;
  std::vector<std::vector<ScoredText>> texts;
  std::size_t baseline = 0;
  for (const VariantResult& result : comparison.variants) {
    if (result.name == comparison.baseline) baseline = names.size();
    names.push_back(result.name);
    texts.push_back(answers.beside_references(result.answers));
  }
  comparison.texts = score_texts(metrics, names, texts, baseline, static_cast<int>(config.samples));
}

/// Rows, or a .txt file as one text.
DataSet read_general(const std::string& path) {
  if (!path.ends_with(".txt")) return read_data(path, {});
  DataSet data;
  data.path = path;
  std::string text = read_file(path);
  if (!is_valid_utf8(text))
    throw Error(ExitCode::data, cat(path, " is no valid UTF-8"), "convert it: iconv -t UTF-8");
  data.examples.push_back({1, PlainText{std::move(text)}});
  return data;
}

std::string baseline_of(const CompareConfig& config, const std::vector<VariantSpec>& specs) {
  if (config.baseline.empty()) return specs.front().name;
  std::vector<std::string> names;
  for (const VariantSpec& spec : specs) names.push_back(spec.name);
  if (std::find(names.begin(), names.end(), config.baseline) != names.end()) return config.baseline;
  throw Error(ExitCode::usage, cat("--baseline \"", printable(config.baseline), "\" is none of the variants"),
              cat("use ", join(names, ", ")));
}

void print(const Comparison& comparison, const CompareConfig& config) {
  if (config.json != "-") std::cout << comparison_table(comparison) << std::flush;
  if (!config.report.empty()) write_file_atomically(config.report, html_report(comparison));
  if (config.json.empty()) return;
  const std::string json = comparison_json(comparison).dump(2) + "\n";
  if (config.json == "-") {
    std::cout << json << std::flush;
  } else {
    write_file_atomically(config.json, json);
  }
}

}  // namespace

int compare(const CompareConfig& config) {
  const std::vector<VariantSpec> specs = parse_variants(config.variant);
  Comparison comparison;
  comparison.baseline = baseline_of(config, specs);
  const auto metrics = find_text_metrics(config.metrics);
  if (metrics.empty() && config.generate_rows != CompareConfig().generate_rows)
    throw Error(ExitCode::usage, "--generate-rows: rows are answered for --metrics only",
                "for example --metrics bleu");
  if (!config.report.empty()) require_writable(config.report);
  if (!config.json.empty() && config.json != "-") require_writable(config.json);
  const int threads = use_threads(config.model.threads);
  const DataSet data = read_data(config.data.path, read_options(config.data));
  std::optional<DataSet> general;
  if (!config.general.empty()) general = read_general(config.general);
  LoadedModel base = load_model(config.model, data);
  for (const VariantSpec& spec : specs) check_variant(spec, base);  // a wrong one costs no evaluation
  const EncodeOptions options = base.encoding(config.data);
  const EncodedSet rows = base.encoded(data, config.data, options, threads);
  log_info("eval", config.data.path, ": ", rows.report.summary());
  const Task task = base.program.info().task;
  const bool counts_bytes = !has_text_head(task) && !base.tokenizer_hash.empty();
  Bench bench{config,
              base,
              {rows.rows, task, base.pad_id(), config.batch_tokens},
              counts_bytes ? labelled_bytes(rows.rows, *base.tokenizer) : std::vector<std::int64_t>(),
              {},
              {config, rows, base},
              {prompts_to_answer(config, data, task), config.max_new_tokens, base}};
  std::vector<std::string> words;
  if (has_text_head(task) && !config.label_words.empty())
    throw Error(ExitCode::usage,
                cat("--label-words: the model is ", described(task), ", whose answers are no words"));
  if (!has_text_head(task)) {
    words = find_label_words(data, config.label_words);
    const auto questions = questions_of(data, words);
    bench.evaluation.add_questions(questions, *base.tokenizer, options);
    comparison.own_choices = !questions.empty() && words.empty();
  }
  if (general) {
    EncodeOptions windows = options;
    windows.max_length =
        options.max_length > 0 ? std::min(options.max_length, kGeneralWindow) : kGeneralWindow;
    const EncodedSet encoded = encode(*general, *base.tokenizer, windows, threads);
    log_info("eval", config.general, ": ", encoded.report.summary());
    bench.general.emplace(encoded.rows, task, base.pad_id(), config.batch_tokens);
    comparison.general_path = config.general;
  }

  comparison.model_path = config.model.path;
  comparison.data_path = config.data.path;
  comparison.data_sha256 = data.sha256;
  comparison.cpu = cpu_name();
  comparison.torch_version = TORCH_VERSION;
  comparison.threads = threads;
  comparison.task = task;
  comparison.total_parameters = parameter_count(base.program);
  comparison.rows = rows.report.rows;
  comparison.tokens = rows.report.tokens;
  comparison.labelled = rows.report.labelled;
  comparison.label_words = words;
  bench.latency.describe(comparison);
  comparison.labelled_bytes = std::accumulate(bench.bytes.begin(), bench.bytes.end(), std::int64_t{0});
  comparison.max_new_tokens = config.max_new_tokens;
  for (const Prompt& prompt : bench.answers.prompts()) {
    comparison.prompts.push_back(prompt_text(prompt));
    comparison.expected.push_back(prompt.references.empty() ? "" : prompt.references.front());
  }
  comparison.examples = std::min(comparison.prompts.size(), static_cast<std::size_t>(config.examples));
  comparison.variants = measure_all(specs, base, bench);
  compare_figures(comparison, config, task == Task::classification ? base.program.info().labels : words);
  compare_texts(comparison, config, metrics, bench.answers);
  print(comparison, config);
  return 0;
}

}  // namespace lora
