#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/decode_latency.h"
#include "eval/latency.h"
#include "eval/quality_measures.h"
#include "eval/text_scores.h"
#include "lora/checkpoint/run_folder.h"
#include "lora/eval/evaluate.h"

namespace lora {

/// What was measured of one variant. Empty optionals are unknown, not zero.
struct VariantResult {
  std::string name, kind, path;
  Quality quality;
  std::optional<Quality> general_quality;
  std::optional<std::int64_t> trainable_parameters;
  std::uint64_t file_bytes = 0;
  std::optional<RunReport> training;
  std::optional<Latency> latency;
  bool interleaved = true;         ///< false: did not fit in memory beside the others and was timed alone
  std::vector<Measure> measures;   ///< of `quality`
  std::optional<Measure> general;  ///< loss on the general text
  std::vector<Latency> latencies;  ///< of latency_shapes; empty if it was timed alone
  std::vector<DecodeLatency> decode_latencies;        ///< of decode_shapes; empty also if it has no cache
  std::vector<std::pair<double, double>> loss_curve;  ///< of its training: tokens, loss
  std::vector<std::string> answers;                   ///< to `prompts`
};

/// Every variant on the same data, on the same machine.
struct Comparison {
  std::string model_path, data_path, data_sha256, cpu, torch_version;
  int threads = 0;
  Task task = Task::language_model;
  std::int64_t total_parameters = 0;
  std::int64_t rows = 0, tokens = 0, labelled = 0;
  std::int64_t labelled_bytes = 0;  ///< of the labelled text; 0: not counted
  std::vector<std::string> label_words;
  bool own_choices = false;                           ///< accuracy is that of the rows' own choices
  std::int64_t latency_rows = 0, latency_tokens = 0;  ///< shape of the timed batch
  std::string baseline;                               ///< name of the variant that others are compared with
  std::string general_path;                           ///< empty: none
  std::vector<std::string> latency_shapes;            ///< "1 x 128"
  std::vector<std::string> decode_shapes;
  std::vector<std::string> prompts, expected;
  std::size_t examples = 0;         ///< of them that people are shown
  std::optional<TextScores> texts;  ///< of all answers, the variants in their order
  std::int64_t max_new_tokens = 0;
  std::vector<VariantResult> variants;
};

/// The tables for people, followed by lines that say on what it was measured.
std::string comparison_table(const Comparison& comparison);

/// All numbers at full precision; unknown ones are null.
Json comparison_json(const Comparison& comparison);

}  // namespace lora
