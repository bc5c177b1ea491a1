#include "lora/checkpoint/run_folder.h"

#include "checkpoint/run_report.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/checkpoint/training_state.h"

namespace lora {
namespace {

constexpr const char *kConfig = "config.json", *kMetrics = "metrics.jsonl", *kCheckpoints = "checkpoints";

void refuse_used(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / kReportFile)) {
    throw Error(ExitCode::usage, cat("\"", folder.string(), "\" holds a finished run"),
                "give another --out, or --overwrite to replace it");
  }
  if (!CheckpointStore(folder, 0).empty()) {
    throw Error(ExitCode::usage, cat("\"", folder.string(), "\" holds a run that can go on"),
                cat("go on with --resume ", folder.string(),
                    "; or give another --out, or --overwrite to replace it"));
  }
}

}  // namespace

RunFolder::RunFolder(std::filesystem::path folder, Open open) : folder_(std::move(folder)) {
  if (open == Open::fresh) refuse_used(folder_);
  ensure_writable_folder(folder_);
  lock_ = std::make_unique<FolderLock>(folder_);
  remove_temporaries_in(folder_);
  if (open != Open::resume) {
    // Checkpoints belong to metrics, so they go first. The old model files stay until new ones replace them.
    remove_tree(folder_ / kCheckpoints);
    remove_tree(folder_ / kReportFile);
    remove_tree(folder_ / kMetrics);
  }
  metrics_ = std::make_unique<LineAppender>(folder_ / kMetrics);
  metrics_->sync();
}

const std::filesystem::path& RunFolder::path() const { return folder_; }
std::filesystem::path RunFolder::adapter() const { return folder_ / "adapter"; }
std::filesystem::path RunFolder::model() const { return folder_ / "model.pt"; }

void RunFolder::write_config(const std::string& json) { write_file_atomically(folder_ / kConfig, json); }

void RunFolder::append_metrics(const std::string& json_line) { metrics_->append(json_line); }

std::string read_run_config(const std::filesystem::path& folder) { return read_file(folder / kConfig); }

void RunFolder::write_report(const RunReport& report) {
  write_file_atomically(folder_ / kReportFile, run_report_json(report).dump(2) + "\n");
}

}  // namespace lora
