#include "lora/checkpoint/run_folder.h"

#include "checkpoint/run_report.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char *kConfig = "config.json", *kMetrics = "metrics.jsonl";

}  // namespace

RunFolder::RunFolder(std::filesystem::path folder, Open open) : folder_(std::move(folder)) {
  if (std::filesystem::exists(folder_ / kReportFile) && open != Open::overwrite) {
    throw Error(ExitCode::usage, cat("\"", folder_.string(), "\" holds a finished run"),
                "give another --out, or --overwrite to replace it");
  }
  ensure_writable_folder(folder_);
  lock_ = std::make_unique<FolderLock>(folder_);
  // From here on the folder is an unfinished run; model files of the old one stay until new ones replace
  // them.
  std::filesystem::remove(folder_ / kReportFile);
  if (open != Open::resume) {
    std::filesystem::remove(folder_ / kMetrics);
    std::filesystem::remove_all(folder_ / "checkpoints");
  }
  metrics_ = std::make_unique<LineAppender>(folder_ / kMetrics);
}

const std::filesystem::path& RunFolder::path() const { return folder_; }
std::filesystem::path RunFolder::adapter() const { return folder_ / "adapter"; }
std::filesystem::path RunFolder::model() const { return folder_ / "model.pt"; }

void RunFolder::write_config(const std::string& json) { write_file_atomically(folder_ / kConfig, json); }

std::string RunFolder::read_config() const { return read_file(folder_ / kConfig); }

void RunFolder::append_metrics(const std::string& json_line) { metrics_->append(json_line); }

void RunFolder::write_report(const RunReport& report) {
  write_file_atomically(folder_ / kReportFile, run_report_json(report).dump(2) + "\n");
}

}  // namespace lora
