#include "lora/merge/inspect.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iostream>
#include <optional>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"
#include "lora/config/check.h"
#include "merge/base_report.h"
#include "merge/inspection_report.h"
#include "merge/output_path.h"
#include "merge/shrink.h"
#include "merge/site_update.h"

namespace lora {
namespace {

void check_options(const InspectConfig& config) {
  check_config(config);
  const auto refuse = [](const std::string& what, const std::string& hint) {
    throw Error(ExitCode::usage, what, hint);
  };
  const bool wants_intruders = config.intruders || config.shrink_intruders;
  if (wants_intruders && config.base.empty())
    refuse("intruder dimensions are found beside the base's weights", "add --base MODEL.pt");
  if (config.shrink_intruders.has_value() == config.out.empty())
    refuse("--shrink-intruders and --out belong together", "give both, or neither");
  if (!config.out.empty())
    check_output({config.out, OutputKind::adapter}, {config.adapter}, config.overwrite);
}

IntruderOptions intruder_options(const InspectConfig& config) {
  return {config.intruder_directions, config.intruder_threshold};
}

ModuleIntruders intruders_of(const Program& program, const Adapter& adapter, const IntruderOptions& options) {
  ModuleIntruders all;
  const auto updates = site_updates(adapter);
  for (std::size_t i = 0; i < updates.size(); ++i) {
    const Site& site = *updates[i].site;
    log_info("inspect", "singular directions of ", site.path, " (", i + 1, " of ", updates.size(), ")");
    const at::Tensor base = output_by_input(site, program.weight(site.weight).value).to(at::kDouble);
    all[site.path] = find_intruders(base, base + updates[i].delta(program), options);
  }
  return all;
}

void write_shrunk(const InspectConfig& config, const AdapterFolder& folder,
                  const ModuleIntruders& intruders) {
  const bool none =
      std::all_of(intruders.begin(), intruders.end(), [](const auto& each) { return each.second.empty(); });
  if (none) {
    throw Error(ExitCode::mismatch, "the adapter has no intruder dimensions: there is nothing to shrink",
                "raise --intruder-threshold or --intruder-directions to call more directions intruders");
  }
  AdapterFolder shrunk = shrink_intruders(folder, intruders, *config.shrink_intruders);
  shrunk.provenance.facts["intruders_scaled"] = cat(*config.shrink_intruders);
  shrunk.provenance.facts["made_from"] = folder.sha256;
  write_adapter_folder(config.out, shrunk,
                       cat("The intruder dimensions of ", printable(config.adapter), " scaled by ",
                           *config.shrink_intruders, " by `lora-merge inspect`."));
}

/// The sections that need the base's weights.
void add_base(const InspectConfig& config, const AdapterFolder& folder, Json& json, std::string& text) {
  const Program program = Program::load(config.base);
  const Adapter adapter = fit_adapter(folder, program);
  const auto facts = analyse_with_base(program, adapter);
  json["beside_base"] = base_json(facts);
  text += "\n" + base_text(facts);
  if (!config.intruders && !config.shrink_intruders) return;
  const ModuleIntruders intruders = intruders_of(program, adapter, intruder_options(config));
  json["intruders"] = intruders_json(intruders);
  text += "\n" + intruders_text(intruders, intruder_options(config));
  if (config.shrink_intruders) {
    write_shrunk(config, folder, intruders);
    text +=
        cat("written: ", printable(config.out), ", their strength times ", *config.shrink_intruders, "\n");
  }
}

}  // namespace

int inspect(const InspectConfig& config) {
  check_options(config);
  const AdapterFolder folder = read_adapter_folder(config.adapter);
  const Inspection found = look_at(folder);
  Json json = inspection_json(found);
  std::string text = inspection_text(found);
  if (!config.base.empty()) add_base(config, folder, json, text);
  std::cout << (config.json ? json.dump(2) + "\n" : text) << std::flush;
  return 0;
}

}  // namespace lora
