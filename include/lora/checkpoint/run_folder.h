#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "lora/base/files.h"

namespace lora {

/// What one training cost and reached: report.json of a run folder, read again by `lora-eval compare`.
struct RunReport {
  std::string variant;  ///< method with what is special about it: "lora, rank-stabilised"
  std::string method, model_path, base_fingerprint;
  std::int64_t trainable_parameters = 0, total_parameters = 0;
  std::int64_t updates = 0, tokens = 0;
  double train_seconds = 0, tokens_per_second = 0;
  std::uint64_t peak_bytes = 0;  ///< highest resident memory of the process
  std::optional<std::uint64_t>
      estimated_peak_bytes;  ///< as the plan had it; unknown for runs of older versions
  /// Of tensors: the base's weights, what is trained with its gradients, the optimizer's moments, and the
  /// most that a step allocates (activations and temporaries). Unknown for runs of older versions.
  std::optional<std::uint64_t> base_bytes, trained_bytes, optimizer_bytes, activation_bytes;
  std::optional<double> median_step_seconds;
  std::optional<double> best_valid_loss;
  std::int64_t best_step = 0;
  double final_train_loss = 0;
  std::uint64_t checkpoint_bytes = 0;  ///< adapter file or model file
  std::string cpu;
  std::string profile;  ///< JSON of a run with --profile, otherwise empty; only written, not read again
};

/// RUN/{config.json, metrics.jsonl, report.json, adapter/ or model.pt}, locked while a training writes it.
class RunFolder {
 public:
  enum class Open {
    fresh,      ///< usage error if it holds a finished run, or checkpoints
    overwrite,  ///< replaces such a run
    resume,     ///< what an unfinished run wrote stays
  };
  /// Creates and locks.
  RunFolder(std::filesystem::path folder, Open open);
  const std::filesystem::path& path() const;
  std::filesystem::path adapter() const;  ///< RUN/adapter
  std::filesystem::path model() const;    ///< RUN/model.pt (full fine-tuning)
  void write_config(const std::string& json);
  void append_metrics(const std::string& json_line);
  LineAppender& metrics() { return *metrics_; }
  void write_report(const RunReport& report);

 private:
  std::filesystem::path folder_;
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<LineAppender> metrics_;
};

/// What write_config() wrote in an earlier process; file error if it is not there.
std::string read_run_config(const std::filesystem::path& folder);

/// file error if the folder is no finished run.
RunReport read_run_report(const std::filesystem::path& folder);

}  // namespace lora
