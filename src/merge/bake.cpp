#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "adapter/merge.h"
#include "checkpoint/adapter_metadata.h"
#include "merge/bake_report.h"
#include "merge/merge_history.h"
#include "merge/verify_merge.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/merge/bake.h"
#include "lora/config/check.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

bool is_same_file(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
  if (fs::exists(a, ignored) && fs::exists(b, ignored)) return fs::equivalent(a, b, ignored);
  return fs::weakly_canonical(a, ignored) == fs::weakly_canonical(b, ignored);
}

/// What can be refused before anything large is read.
void check_options(const BakeConfig& config) {
  check_config(config);
  const auto refuse = [](const std::string& what, const std::string& hint) {
    throw Error(ExitCode::usage, what, hint);
  };
  const fs::path adapter(config.adapter);
  for (const fs::path& input :
       {fs::path(config.model.path), adapter / kConfigFile, adapter / kTensorFile, adapter / kCardFile}) {
    if (!is_same_file(config.out, input)) continue;
    refuse(cat("--out ", config.out, " is an input (", input.string(), ")"),
           "give the merged model a file of its own");
  }
  std::error_code ignored;
  if (fs::is_directory(config.out, ignored))
    refuse(cat("--out ", config.out, " is a folder"), "give a file name");
  if (fs::exists(config.out, ignored) && !config.overwrite) {
    refuse(cat("--out ", config.out, " exists"), "give another name, or --overwrite to replace it");
  }
}

/// A file beside the output that takes its place when all is verified, and is removed otherwise.
class Unverified {
 public:
  explicit Unverified(fs::path out)
      : out_(std::move(out)), path_(cat(out_.string(), ".unverified.", ::getpid())) {}
  ~Unverified() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  Unverified(const Unverified&) = delete;
  Unverified& operator=(const Unverified&) = delete;

  const fs::path& path() const { return path_; }
  void accept() const { fs::rename(path_, out_); }

 private:
  fs::path out_, path_;
};

/// What is left of base and adapter when the merged weights are known.
struct Merge {
  std::map<std::string, at::Tensor> weights;  ///< by path in the file
  Json history;
  ProbedLogits live;
};

/// The coarsest type decides how closely logits can agree.
void use_coarser(at::ScalarType type, BakeReport& report) {
  report.tolerance = std::max(report.tolerance, merge_tolerance(type));
}

Merge merge(const AdapterFolder& folder, BakeReport& report) {
  const Json history = read_history(report.model);
  refuse_second_merge(history, folder, report.model);
  Program program = Program::load(report.model);
  const Adapter adapter = fit_adapter(folder, program);
  const std::vector<MergedWeight> merged = merge_targets(program, adapter);
  refuse_no_change(program, adapter, merged);
  Merge result{adapter.saved_weights, merged_history(history, folder, program.fingerprint()), {}};
  use_coarser(at::kFloat, report);
  for (const MergedWeight& each : merged) {
    result.weights[each.path] = each.value;
    use_coarser(each.value.scalar_type(), report);
    report.dtype = each.value.dtype().name();
    report.modules.push_back(
        {each.module, each.path, each.largest_change, each.swallowed_share, each.norm_lost});
  }
  for (const auto& [path, value] : adapter.saved_weights) report.replaced.push_back(path);
  report.base_fingerprint = program.fingerprint();
  result.live = probe_adapter(program, adapter);
  return result;
}

void verify(const fs::path& file, const ProbedLogits& live, BakeReport& report) {
  report.probe_rows = live.rows;
  report.probe_tokens = live.tokens;
  report.difference = compare_with(live, Program::load(file));
  if (report.difference.relative <= report.tolerance) return;  // false for NaN, too
  throw Error(ExitCode::mismatch,
              cat("the merged model's logits differ from the adapter's by ", report.difference.largest, ", ",
                  report.difference.relative, " of the largest logit; the tolerance for ", report.dtype,
                  " is ", report.tolerance),
              "nothing was written; the model uses an adapted weight where the adapter does not act, or its "
              "number type is too coarse: use the adapter unmerged");
}

}  // namespace

int bake(const BakeConfig& config) {
  const double start = monotonic_seconds();
  if (config.model.threads > 0) at::set_num_threads(static_cast<int>(config.model.threads));
  check_options(config);
  const AdapterFolder folder = read_adapter_folder(config.adapter);
  ensure_writable_folder(fs::absolute(config.out).parent_path());
  BakeReport report;
  report.model = config.model.path;
  report.adapter = config.adapter;
  report.out = config.out;
  report.adapter_sha256 = folder.sha256;
  log_info("merge", "merging ", folder.tensors.size(), " tensors of ", config.adapter, " into ",
           config.model.path);
  const Merge merged = merge(folder, report);
  const Unverified file(config.out);
  save_model(config.model.path, file.path(), merged.weights, merged.history.dump());
  verify(file.path(), merged.live, report);
  file.accept();
  report.bytes = fs::file_size(config.out);
  report.seconds = monotonic_seconds() - start;
  std::cout << (config.json ? bake_json(report).dump(2) + "\n" : bake_text(report)) << std::flush;
  return 0;
}

}  // namespace lora
