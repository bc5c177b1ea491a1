#include "merge/combine_sources.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "checkpoint/peft_keys.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

void refuse_non_finite(const AdapterFolder& folder) {
  std::vector<std::string> bad;
  for (const auto& [key, tensor] : folder.tensors) {
    if (!at::isfinite(tensor).all().item<bool>()) bad.push_back("  " + printable(key));
  }
  if (bad.empty()) return;
  throw Error(ExitCode::file,
              cat(folder.path.string(), " has ", bad.size(), " tensors with NaN or Inf\n", join(bad, "\n")),
              "it comes from a diverged training or is damaged: use an earlier one");
}

CombineSource read_source(const WeightedAdapterPath& adapter) {
  CombineSource source{read_adapter_folder(adapter.path), adapter.weight, {}, {}};
  refuse_non_finite(source.folder);
  for (ModuleUpdate& update : module_updates(source.folder)) {
    const std::string module = update.module;
    source.updates.emplace(module, std::move(update));
  }
  PeftTensors tensors = split_keys(source.folder.tensors, adapter.path.string());
  if (!tensors.token_rows.empty()) {
    throw Error(ExitCode::mismatch,
                cat(adapter.path.string(), " holds trained token rows (",
                    printable(tensors.token_rows.begin()->first),
                    "), which replace rows of the base and have no sum"),
                "bake it into the base by itself");
  }
  source.whole = std::move(tensors.whole);
  return source;
}

std::string shape_text(const ModuleUpdate& update) {
  return cat(update.embedding ? "an embedding" : "a matrix", " of ", update.in(), " inputs and ",
             update.out(), " outputs");
}

/// Everything in which two sources disagree.
class Comparison {
 public:
  Comparison(const CombineSource& first, const CombineSource& second) : first_(first), second_(second) {}

  std::vector<std::string> run() {
    const AdapterFolder &a = first_.folder, &b = second_.folder;
    compare("base", a.provenance.base_fingerprint.substr(0, 12), b.provenance.base_fingerprint.substr(0, 12));
    compare("classes", join(a.provenance.labels, ", "), join(b.provenance.labels, ", "));
    compare("bias", a.config.bias, b.config.bias);
    compare("task_type", a.config.task_type, b.config.task_type);
    compare_modules();
    compare_whole();
    refuse_inside(first_, second_);
    refuse_inside(second_, first_);
    return std::move(mismatches_);
  }

 private:
  void add(const std::string& name, const std::string& in_first, const std::string& in_second) {
    mismatches_.push_back(cat("  ", printable(name), ": ", printable(in_first), " in ",
                              first_.folder.path.string(), ", ", printable(in_second), " in ",
                              second_.folder.path.string()));
  }

  /// What one of them does not say is no disagreement.
  void compare(const std::string& name, const std::string& in_first, const std::string& in_second) {
    if (!in_first.empty() && !in_second.empty() && in_first != in_second) add(name, in_first, in_second);
  }

  void compare_modules() {
    for (const auto& [module, update] : first_.updates) {
      const auto other = second_.updates.find(module);
      if (other != second_.updates.end()) compare(module, shape_text(update), shape_text(other->second));
    }
  }

  void compare_whole() {
    for (const auto& [path, value] : first_.whole) {
      const auto other = second_.whole.find(path);
      if (other == second_.whole.end() || other->second.sizes() == value.sizes()) continue;
      add(path, cat("[", join(value.sizes(), ", "), "]"), cat("[", join(other->second.sizes(), ", "), "]"));
    }
  }

  void refuse_inside(const CombineSource& whole, const CombineSource& adapting) {
    for (const auto& [path, value] : whole.whole) {
      const std::string module = path.substr(0, path.rfind('.'));
      if (!adapting.updates.count(module) || path.ends_with(".bias")) continue;
      mismatches_.push_back(cat("  ", printable(path), ": held whole by ", whole.folder.path.string(),
                                ", adapted by low rank in ", adapting.folder.path.string()));
    }
  }

  const CombineSource &first_, &second_;
  std::vector<std::string> mismatches_;
};

}  // namespace

bool CombineSource::is_plain() const {
  return std::all_of(updates.begin(), updates.end(),
                     [](const auto& entry) { return entry.second.config.method == "lora"; });
}

std::vector<CombineSource> read_sources(const std::vector<WeightedAdapterPath>& adapters) {
  std::vector<CombineSource> sources;
  for (const WeightedAdapterPath& adapter : adapters) sources.push_back(read_source(adapter));
  std::vector<std::string> mismatches;
  for (auto second = sources.begin(); second != sources.end(); ++second) {
    for (auto first = sources.begin(); first != second; ++first) {
      for (std::string& line : Comparison(*first, *second).run()) mismatches.push_back(std::move(line));
    }
  }
  if (mismatches.empty()) return sources;
  throw Error(ExitCode::mismatch,
              cat("the adapters do not belong together: ", mismatches.size(), " mismatches\n",
                  join(mismatches, "\n")),
              "combine adapters that were trained on one base model");
}

std::vector<std::string> modules_of(const std::vector<CombineSource>& sources) {
  std::set<std::string> modules;
  for (const CombineSource& source : sources) {
    for (const auto& [module, update] : source.updates) modules.insert(module);
  }
  return {modules.begin(), modules.end()};
}

}  // namespace lora
