#include "lora/merge/bake.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <future>
#include <iostream>

#include "checkpoint/adapter_metadata.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/config/check.h"
#include "merge/bake_folder.h"
#include "merge/merge_history.h"
#include "merge/output_path.h"
#include "merge/weighted_adapter.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

/// What can be refused before anything large is read.
void check_options(const BakeConfig& config) {
  check_config(config);
  std::vector<fs::path> inputs{config.model.path};
  if (!config.hf.empty()) inputs.push_back(config.hf);
  for (const WeightedAdapterPath& adapter : parse_weighted_adapters(config.adapters)) {
    inputs.push_back(adapter.path);
    for (const char* file : {kConfigFile, kTensorFile, kCardFile}) inputs.push_back(adapter.path / file);
  }
  const Output out{config.out, config.hf.empty() ? OutputKind::file : OutputKind::folder};
  check_output(out, inputs, config.overwrite);
  if (!config.undo.empty()) {
    inputs.push_back(config.out);
    check_output({config.undo, OutputKind::file, "--undo"}, inputs, config.overwrite);
  }
}

/// What goes into the merged file.
struct Merge {
  std::map<std::string, at::Tensor> weights;  ///< by path in the file
  Json history;
};

/// A tied weight that gets a tensor of its own cannot be tied again.
void refuse_untying(const Program& program, const std::vector<MergedWeight>& merged) {
  for (const MergedWeight& each : merged) {
    if (program.weight(each.path).aliases.empty()) continue;
    throw Error(ExitCode::mismatch,
                cat("--undo cannot describe the merge into \"", each.module,
                    "\", which is untied from another weight"),
                "keep the base model and restore from it");
  }
}

Merge merge(const BakeConfig& config, const Json& history, Program& program, AdapterSources& adapters,
            Undo& undo, BakeReport& report) {
  const std::vector<MergedWeight> merged = merge_targets(program, adapters.mix());
  Merge result{whole_weights(adapters.mix()), merged_history(history, adapters, program.fingerprint())};
  refuse_no_change(program, result.weights, merged);
  if (!config.undo.empty()) refuse_untying(program, merged);
  for (const auto& [path, value] : result.weights) report.replaced.push_back(path);
  for (const MergedWeight& each : merged) {
    result.weights[each.path] = each.update.value;
    report.add(each);
  }
  if (!config.undo.empty()) {
    for (const auto& [path, value] : result.weights) undo.add(path, program.weight(path).value, value);
  }
  return result;
}

void bake_file(const BakeConfig& config, const Json& history, Program& program, AdapterSources& adapters,
               Undo& undo, BakeReport& report) {
  Merge merged = merge(config, history, program, adapters, undo, report);
  PendingFile file(config.out, fs::file_size(config.model.path));
  auto writing =
      std::async(std::launch::async, [&] { program.save(file, merged.weights, merged.history.dump()); });
  const ProbedLogits live = probe_live(program, adapters.mix());
  writing.get();
  merged.weights.clear();
  report.probe_rows = live.rows;
  report.probe_tokens = live.tokens;
  report.difference = compare_with(live, Program::load_to_run(file.path()));
  refuse_difference(report);
  report.bytes = fs::file_size(file.path());
  file.accept();
}

}  // namespace

int bake(const BakeConfig& config) {
  const double start = monotonic_seconds();
  if (config.model.threads > 0) at::set_num_threads(static_cast<int>(config.model.threads));
  check_options(config);
  AdapterSources adapters(config.adapters);
  const fs::path base = config.hf.empty() ? config.model.path : config.hf;
  BakeReport report;
  log_info("merge", "merging ", adapters.tensor_count(), " tensors of ", join(config.adapters, " "), " into ",
           base.string());
  const Json history = read_history(base);
  refuse_second_merge(history, adapters, base);
  Program program = Program::load(config.model.path);
  adapters.fit(program);
  report.base_fingerprint = program.fingerprint();
  Undo undo;
  undo.facts = {{"base_fingerprint", report.base_fingerprint}, {"history", history}};
  if (config.hf.empty()) {
    bake_file(config, history, program, adapters, undo, report);
  } else {
    const std::string text = merged_history(history, adapters, report.base_fingerprint).dump(2);
    bake_folder(config, program, adapters, text, undo, report);
  }
  if (!config.undo.empty()) {
    undo.write(config.undo);
    report.undo_bytes = fs::file_size(config.undo);
  }
  report.seconds = monotonic_seconds() - start;
  std::cout << (config.json ? bake_json(config, adapters, report).dump(2) + "\n" : bake_text(config, report))
            << std::flush;
  return 0;
}

}  // namespace lora
