#include "lora/merge/combine.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "checkpoint/peft_keys.h"
#include "lora/base/error.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/base/version.h"
#include "lora/config/check.h"
#include "merge/combine_updates.h"
#include "merge/combine_whole.h"
#include "merge/output_path.h"

namespace lora {
namespace {

using Sources = std::vector<CombineSource>;

bool all_plain(const Sources& sources) {
  return std::all_of(sources.begin(), sources.end(),
                     [](const CombineSource& source) { return source.is_plain(); });
}

/// An update that depends on the base's weights is known only with them, and is no product.
void refuse_unknown_updates(const Sources& sources, const CombineConfig& config) {
  if (all_plain(sources) || (!config.model.empty() && config.rank)) return;
  std::vector<std::string> lines;
  for (const CombineSource& source : sources) {
    if (!source.is_plain()) lines.push_back("  " + source.folder.path.string());
  }
  throw Error(
      ExitCode::mismatch,
      cat(lines.size(), " adapters are DoRA: their update depends on the base's weights and has full rank\n",
          join(lines, "\n")),
      "give the base by --model BASE.pt, and the rank of the approximation by --rank R");
}

void refuse_foreign_base(const Sources& sources, const Program& base) {
  for (const CombineSource& source : sources) fit_adapter(source.folder, base);
}

CombinedUpdates combine_updates(const Sources& sources, const std::vector<double>& factors,
                                const CombineConfig& config, const Program* base) {
  const DenseOptions dense{
      {config.method, config.density}, config.rank, config.exact, static_cast<std::uint64_t>(config.seed)};
  if (!is_linear(dense.merge) || !all_plain(sources)) return merge_dense(sources, factors, dense, base);
  return config.rank ? concatenate_and_truncate(sources, factors, *config.rank)
                     : concatenate(sources, factors);
}

/// Text that all sources share; empty if they differ.
template <class Get>
std::string shared_text(const Sources& sources, Get get) {
  std::set<std::string> texts;
  for (const CombineSource& source : sources) {
    if (const std::string text = get(source.folder); !text.empty()) texts.insert(text);
  }
  return texts.size() == 1 ? *texts.begin() : "";
}

Json sources_json(const Sources& sources) {
  Json all = Json::array();
  for (const CombineSource& source : sources) {
    all.push_back(
        {{"path", source.folder.path.string()}, {"sha256", source.folder.sha256}, {"weight", source.weight}});
  }
  return all;
}

AdapterProvenance provenance_of(const Sources& sources, const CombineConfig& config) {
  AdapterProvenance provenance;
  provenance.base_name = sources.front().folder.provenance.base_name;
  provenance.base_fingerprint =
      shared_text(sources, [](const AdapterFolder& folder) { return folder.provenance.base_fingerprint; });
  provenance.tokenizer_hash =
      shared_text(sources, [](const AdapterFolder& folder) { return folder.provenance.tokenizer_hash; });
  for (const CombineSource& source : sources) {
    if (provenance.labels.empty()) provenance.labels = source.folder.provenance.labels;
  }
  provenance.facts = {{"made_by", "combine"},
                      {"method", config.method},
                      {"sources", sources_json(sources).dump()},
                      {"version", version()},
                      {"written", utc_timestamp()}};
  const bool linear = is_linear({config.method, 1});
  if (!linear) provenance.facts["density"] = Json(config.density).dump();
  if (config.method.starts_with("dare")) provenance.facts["seed"] = cat(config.seed);
  return provenance;
}

AdapterFolder folder_of(const Sources& sources, const CombineConfig& config, const CombinedUpdates& updates,
                        const std::map<std::string, at::Tensor>& whole) {
  AdapterFolder folder;
  folder.provenance = provenance_of(sources, config);
  folder.config.task_type =
      shared_text(sources, [](const AdapterFolder& each) { return each.config.task_type; });
  std::set<std::string> saved;
  for (const CombineSource& source : sources) {
    folder.config.fan_in_fan_out |= source.folder.config.fan_in_fan_out;
    const auto& modules = source.folder.config.modules_to_save;
    if (!source.whole.empty()) saved.insert(modules.begin(), modules.end());
  }
  folder.config.modules_to_save.assign(saved.begin(), saved.end());
  folder.config.bias = sources.front().folder.config.bias;
  for (const auto& [path, value] : whole) {
    const std::string module = path.substr(0, path.rfind('.'));
    const bool adapted =
        path.ends_with(".bias") && std::any_of(updates.modules.begin(), updates.modules.end(),
                                               [&](const auto& each) { return each.module == module; });
    folder.tensors[adapted ? adapted_bias_key(module) : whole_key(path)] = value;
  }
  folder.blocks = updates.blocks;
  return with_modules(std::move(folder), updates.modules);
}

std::string summary(const Sources& sources, const CombineConfig& config, const CombinedUpdates& updates) {
  std::string text;
  for (const CombineSource& source : sources)
    text += cat("  ", source.weight, " x ", source.folder.path.string(), " (sha256 ",
                source.folder.sha256.substr(0, 12), ")\n");
  text = cat(config.method, " of ", sources.size(), " adapters\n", text, "\n");
  if (!updates.fits.empty()) return text + fits_text(updates.fits);
  text += cat("exact: the ranks of ", updates.modules.size(), " modules add up\n");
  if (updates.folded > 0)
    text += cat(updates.folded,
                " factors B were multiplied by their scale and weight, rounded once to float32\n");
  return text;
}

Json combine_json(const Sources& sources, const CombineConfig& config, const CombinedUpdates& updates) {
  Json json = {{"out", config.out},
               {"method", config.method},
               {"sources", sources_json(sources)},
               {"exact", updates.fits.empty()}};
  if (updates.fits.empty()) {
    json["folded"] = updates.folded;
    json["modules"] = Json::array();
    for (const ModuleUpdate& update : updates.modules)
      json["modules"].push_back({{"module", update.module}, {"rank", update.config.rank}});
  } else {
    json["modules"] = fits_json(updates.fits);
    json["relative_error"] = total_error(updates.fits);
  }
  return json;
}

}  // namespace

int combine(const CombineConfig& config) {
  check_config(config);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const std::vector<WeightedAdapterPath> adapters = parse_weighted_adapters(config.adapters);
  std::vector<std::filesystem::path> inputs;
  std::vector<double> weights;
  for (const WeightedAdapterPath& adapter : adapters) {
    inputs.push_back(adapter.path);
    weights.push_back(adapter.weight);
  }
  const std::vector<double> factors = task_factors({config.method, config.density}, weights);
  const Sources sources = read_sources(adapters);
  refuse_unknown_updates(sources, config);
  check_output({config.out, OutputKind::adapter}, inputs, config.overwrite);
  std::optional<Program> base;
  if (!config.model.empty()) base.emplace(Program::load(config.model));
  const Program* const program = base ? &*base : nullptr;
  if (program) refuse_foreign_base(sources, *program);
  const auto whole = combine_whole(sources, factors, config.whole, program);
  const CombinedUpdates updates = combine_updates(sources, factors, config, program);
  const std::string text = summary(sources, config, updates);
  write_adapter_folder(config.out, folder_of(sources, config, updates, whole),
                       cat("Made by `lora-merge combine`.\n\n```\n", text, "```"));
  if (config.json)
    std::cout << combine_json(sources, config, updates).dump(2) << "\n" << std::flush;
  else
    std::cout << "wrote " << config.out << ": " << text << std::flush;
  return 0;
}

}  // namespace lora
