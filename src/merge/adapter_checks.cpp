#include "merge/adapter_checks.h"

#include <ATen/ATen.h>

#include "adapter/merge.h"
#include "adapter/weights_in_place.h"
#include "base/report_text.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"
#include "merge/inspection.h"
#include "merge/verify_merge.h"

namespace lora {
namespace {

class Checker {
 public:
  Checker(const std::filesystem::path& path, Program* base) : path_(path), base_(base) {}

  std::vector<AdapterCheck> run() {
    check("structure", true, "", [&] { return structure(); });
    check("content hash", folder_.has_value(), "the folder cannot be read", [&] { return content(); });
    check("finite values", folder_.has_value(), "the folder cannot be read", [&] { return finite(); });
    check("trained", folder_.has_value(), "the folder cannot be read", [&] { return trained(); });
    const char* why = !base_ ? "no --model was given" : "the folder cannot be read";
    check("fits the base", base_ && folder_.has_value(), why, [&] { return fit(); });
    if (base_ && folder_) why = "the adapter does not fit";
    check("merged against live", adapter_.has_value(), why, [&] { return merged(); });
    return std::move(checks_);
  }

 private:
  template <class Work>
  void check(const std::string& name, bool possible, const std::string& why_not, Work work) {
    AdapterCheck result{name, CheckState::skipped, why_not, ExitCode::ok};
    if (possible) {
      try {
        result.finding = work();
        result.state = CheckState::passed;
      } catch (const Error& error) {
        result = {name, CheckState::failed, error.what(), error.code()};
      }
    }
    checks_.push_back(std::move(result));
  }

  std::string structure() {
    folder_.emplace(read_adapter_folder(path_));
    return cat(folder_->tensors.size(), " tensors, ", human_bytes(folder_->bytes));
  }

  /// read_adapter_folder compares it.
  std::string content() const {
    return folder_->provenance.base_fingerprint.empty() ? "none recorded: written by another tool"
                                                        : "agrees with the recorded one";
  }

  std::string finite() const {
    const Inspection found = look_at(*folder_);
    if (found.not_finite.empty()) return "no NaN, no Inf";
    throw Error(ExitCode::file, cat("NaN or Inf in ", join(found.not_finite, ", ")));
  }

  std::string trained() const {
    const Inspection found = look_at(*folder_);
    if (found.without_update.empty()) return cat("all ", found.modules.size(), " modules have an update");
    throw Error(ExitCode::mismatch,
                cat("no update in ", found.without_update.size(), " of ", found.modules.size(),
                    " modules: ", join(found.without_update, ", ")));
  }

  std::string fit() {
    adapter_.emplace(fit_adapter(*folder_, *base_));
    std::size_t rows = 0;
    for (const TokenRows& tokens : adapter_->token_rows) rows += tokens.ids.size();
    return cat(adapter_->targets.size(), " targets, ", adapter_->saved_weights.size(), " whole weights",
               rows ? cat(", ", rows, " token rows") : "");
  }

  std::string merged() {
    const AdapterMix mix{{&*adapter_}};
    const auto updates = merge_targets(*base_, mix);
    std::map<std::string, at::Tensor> weights = whole_weights(mix);
    refuse_no_change(*base_, weights, updates);
    const ProbedLogits live = probe_live(*base_, mix);
    double tolerance = merge_tolerance(at::kFloat);
    for (const MergedWeight& each : updates) {
      weights[each.path] = each.update.value;
      tolerance = std::max(tolerance, merge_tolerance(each.update.value.scalar_type()));
    }
    const WeightsInPlace in_place(*base_, weights);
    const LogitDifference difference = compare_with(live, *base_);
    const std::string finding = cat("logits differ by ", significant(difference.relative, 3),
                                    " of the largest, tolerance ", significant(tolerance, 3));
    if (difference.relative <= tolerance) return finding;
    throw Error(ExitCode::mismatch, finding);
  }

  std::filesystem::path path_;
  Program* base_;
  std::optional<AdapterFolder> folder_;
  std::optional<Adapter> adapter_;
  std::vector<AdapterCheck> checks_;
};

}  // namespace

std::vector<AdapterCheck> check_adapter(const std::filesystem::path& path, Program* base) {
  return Checker(path, base).run();
}

}  // namespace lora
