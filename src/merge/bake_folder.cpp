#include "merge/bake_folder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "adapter/saved_modules.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"
#include "merge/hf_folder.h"
#include "merge/merge_history.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

/// Which tensor of the folder is which weight of the program.
class Correspondence {
 public:
  Correspondence(const HfFolder& folder, const Program& program) {
    for (const Weight& weight : program.weights()) {
      std::vector<std::string> paths = weight.aliases;
      paths.insert(paths.begin(), weight.path);
      bool found = false;
      for (const std::string& path : paths) {
        for (const std::string& name : {plain_path(program, path), path}) {
          if (!folder.has(name) || !weights_.emplace(name, path).second) continue;
          names_.emplace(path, name);
          found = true;
        }
      }
      if (!found && weight.is_parameter) missing_.push_back(cat("  ", weight.path, "  not in the folder"));
    }
    refuse_mismatches(folder, program);
    for (const std::string& name : folder.names()) {
      if (!weights_.count(name)) unknown_.push_back(name);
    }
  }

  /// The program's path of a tensor; empty if it has none.
  std::string path_of(const std::string& name) const {
    const auto found = weights_.find(name);
    return found == weights_.end() ? std::string() : found->second;
  }
  const std::map<std::string, std::string>& names() const {
    return names_;
  }  ///< path in the program -> tensor
  const std::vector<std::string>& unknown() const { return unknown_; }

 private:
  void refuse_mismatches(const HfFolder& folder, const Program& program) {
    for (const auto& [name, path] : weights_) {
      const at::Tensor theirs = folder.tensor(name), &ours = program.weight(path).value;
      if (theirs.sizes() != ours.sizes()) {
        missing_.push_back(cat("  ", name, "  folder [", join(theirs.sizes(), ", "), "], model [",
                               join(ours.sizes(), ", "), "]"));
      } else if (!at::equal(theirs.to(ours.scalar_type()), ours)) {
        missing_.push_back(cat("  ", name, "  other values"));
      }
    }
    if (missing_.empty()) return;
    throw Error(ExitCode::mismatch,
                cat("\"", folder.path().string(), "\" is not what \"", program.path().string(),
                    "\" was exported from: ", missing_.size(), " tensors differ\n", join(missing_, "\n")),
                "give the folder of that model and revision");
  }

  std::map<std::string, std::string> weights_, names_;
  std::vector<std::string> missing_, unknown_;
};

/// A shard under way: same header, other bytes.
using NewShard = std::unique_ptr<PendingFile>;

class FolderBaker {
 public:
  FolderBaker(const BakeConfig& config, Program& program, const AdapterSources& adapters, Undo& undo,
              BakeReport& report)
      : folder_(config.hf),
        out_(config.out),
        program_(program),
        keeps_undo_(!config.undo.empty()),
        mix_(adapters.mix()),
        names_(folder_, program),
        whole_(whole_weights(mix_)),
        undo_(undo),
        report_(report) {
    for (const std::string& path : weights_to_merge(program, mix_)) to_merge_.insert(path);
    for (const auto& [path, value] : whole_) to_merge_.insert(path);
    std::vector<std::string> lost;
    for (const std::string& path : to_merge_) {
      if (!is_stored(path)) lost.push_back("  " + path);
    }
    if (lost.empty()) return;
    throw Error(ExitCode::mismatch, cat("the folder stores no tensor of its own for\n", join(lost, "\n")),
                "these weights are tied to others there: merge into the .pt file, which can untie them");
  }

  void run(const std::string& history) {
    const at::NoGradGuard no_grad;
    const ProbedLogits live = probe_live(program_, mix_);
    for (const auto& shard : folder_.shards()) write_shard(*shard);
    refuse_unchanged();
    verify(live);
    for (const fs::path& file : folder_.other_files()) out_.write(file.filename().string(), read_file(file));
    out_.write(kHistoryFile, history + "\n");
    for (NewShard& shard : written_) shard->accept();
    out_.accept();
    report_.untouched = names_.unknown();
  }

 private:
  /// True if the folder has the tensor, or one that it is tied to and that changes with it.
  bool is_stored(const std::string& path) const {
    if (names_.names().count(path)) return true;
    const Weight& weight = program_.weight(path);
    std::vector<std::string> tied = weight.aliases;
    tied.push_back(weight.path);
    const bool all_change = std::all_of(tied.begin(), tied.end(),
                                        [&](const std::string& each) { return to_merge_.count(each) > 0; });
    return all_change && std::any_of(tied.begin(), tied.end(),
                                     [&](const std::string& each) { return names_.names().count(each) > 0; });
  }

  void write_shard(const MappedSafetensors& shard) {
    const std::string name = shard.path().filename().string();
    NewShard file = out_.begin(name, fs::file_size(shard.path()));
    file->write(shard.header());
    for (const SafetensorsEntry& entry : shard.entries()) {
      const std::string path = names_.path_of(entry.name);
      const at::Tensor value = to_merge_.count(path) ? new_value(shard, entry, path) : at::Tensor();
      file->write(value.defined() ? bytes_of(value) : shard.bytes(entry));
    }
    undo_.facts["files"][name] = sha256(MappedFile(shard.path()).bytes());
    report_.bytes += fs::file_size(file->path());
    written_.push_back(std::move(file));
  }

  at::Tensor new_value(const MappedSafetensors& shard, const SafetensorsEntry& entry,
                       const std::string& path) {
    const at::Tensor base = shard.tensor(entry);
    const auto whole = whole_.find(path);
    at::Tensor value;
    if (whole != whole_.end()) {
      value = whole->second.to(base.scalar_type()).cpu().contiguous();
      report_.replaced.push_back(entry.name);
      changed_ |= !at::equal(value, base);
    } else {
      const MergedWeight merged = merge_weight(mix_, path, base);
      value = merged.update.value;
      report_.add(merged);
      changed_ |= merged.changed();
    }
    if (keeps_undo_) undo_.add(entry.name, base, value);
    return value;
  }

  void refuse_unchanged() const {
    if (!changed_) {
      throw Error(
          ExitCode::mismatch, "merging would change nothing: no tensor gets another value",
          "the adapter is untrained, or its update is below the resolution of the folder's number type");
    }
  }

  void verify(const ProbedLogits& live) {
    for (const NewShard& shard : written_) {
      mapped_.push_back(std::make_unique<MappedSafetensors>(shard->path()));
      for (const SafetensorsEntry& entry : mapped_.back()->entries()) {
        const std::string path = names_.path_of(entry.name);
        if (path.empty()) continue;
        program_.set_weight(path,
                            mapped_.back()->tensor(entry).to(program_.weight(path).value.scalar_type()));
      }
    }
    report_.probe_rows = live.rows;
    report_.probe_tokens = live.tokens;
    report_.difference = compare_with(live, program_);
    refuse_difference(report_);
  }

  HfFolder folder_;
  PendingFolder out_;
  Program& program_;
  const bool keeps_undo_;
  const AdapterMix& mix_;
  Correspondence names_;
  std::map<std::string, at::Tensor> whole_;
  std::set<std::string> to_merge_;
  Undo& undo_;
  BakeReport& report_;
  std::vector<NewShard> written_;
  std::vector<std::unique_ptr<MappedSafetensors>>
      mapped_;  ///< of what was written: the program looks at them
  bool changed_ = false;
};

}  // namespace

void bake_folder(const BakeConfig& config, Program& program, const AdapterSources& adapters,
                 const std::string& history, Undo& undo, BakeReport& report) {
  FolderBaker(config, program, adapters, undo, report).run(history);
}

}  // namespace lora
