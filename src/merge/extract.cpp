#include "lora/merge/extract.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <iostream>

#include "base/report_text.h"
#include "checkpoint/peft_keys.h"
#include "lora/base/error.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/base/version.h"
#include "lora/config/check.h"
#include "merge/extraction.h"
#include "merge/output_path.h"

namespace lora {
namespace {

std::vector<Target> whole_module_targets(const ModelWeights& base, const ExtractConfig& config) {
  std::vector<Target> targets =
      resolve_targets(base.sites(), {config.targets, config.exclude, config.layers});
  for (const Target& target : targets) {
    if (!target.slice) continue;
    throw Error(ExitCode::usage,
                cat("--targets ", target.name(), " is a slice; extraction takes whole modules"),
                cat("use --targets ", target.site->path));
  }
  return targets;
}

AdapterFolder folder_of(const ModelWeights& base, const ExtractConfig& config, const Extraction& extraction) {
  AdapterFolder folder;
  folder.provenance = base.provenance();
  folder.provenance.facts = {{"made_by", "extract"},
                             {"tuned", config.tuned},
                             {"relative_error", Json(extraction.lost_share()).dump()},
                             {"version", version()},
                             {"written", utc_timestamp()}};
  folder.config.task_type = base.task_type();
  folder.config.fan_in_fan_out = extraction.has_conv1d;
  folder.config.modules_to_save = extraction.modules_to_save;
  for (const auto& [weight, value] : extraction.whole) folder.tensors[whole_key(weight)] = value;
  return with_modules(std::move(folder), extraction.modules);
}

std::vector<ModuleFit> uncovered_fits(const Extraction& extraction, bool stored) {
  std::vector<ModuleFit> fits;
  for (const UncoveredChange& change : extraction.uncovered) {
    if (change.stored == stored) fits.push_back({change.weight, 0, change.norm, change.norm});
  }
  return fits;
}

std::string patterns_text(const std::vector<ModuleFit>& fits) {
  std::vector<std::string> patterns;
  for (const ModuleFit& fit : fits) patterns.push_back(printable(module_pattern(fit.module)));
  std::sort(patterns.begin(), patterns.end());
  patterns.erase(std::unique(patterns.begin(), patterns.end()), patterns.end());
  return join(patterns, ", ");
}

std::string summary(const Extraction& extraction) {
  std::string text = fits_text(extraction.fits);
  if (!extraction.unchanged.empty())
    text += cat("\n", extraction.unchanged.size(), " targets do not differ\n");
  const auto stored = uncovered_fits(extraction, true), left = uncovered_fits(extraction, false);
  if (!stored.empty())
    text += cat("\nstored whole: ", stored.size(), " changed weights: ", patterns_text(stored), "\n");
  if (!left.empty())
    text += cat("\nchanged and not in the adapter: ", left.size(), " weights: ", patterns_text(left), "\n");
  return text + cat("\nrelative error of all changes: ", significant(extraction.lost_share(), 3), "\n");
}

Json extract_json(const ExtractConfig& config, const Extraction& extraction, double seconds) {
  Json uncovered = Json::array();
  for (const UncoveredChange& change : extraction.uncovered)
    uncovered.push_back({{"weight", change.weight}, {"norm", change.norm}, {"stored_whole", change.stored}});
  return {{"base", config.base},
          {"tuned", config.tuned},
          {"out", config.out},
          {"modules", fits_json(extraction.fits)},
          {"relative_error_of_targets", total_error(extraction.fits)},
          {"relative_error", extraction.lost_share()},
          {"unchanged", extraction.unchanged},
          {"changed_outside_targets", uncovered},
          {"fit_seconds", seconds}};
}

}  // namespace

int extract(const ExtractConfig& config) {
  check_config(config);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const RankChoice choice = rank_choice(config.rank, config.error, config.energy);
  const std::unique_ptr<ModelWeights> base = open_model_weights(config.base);
  const std::unique_ptr<ModelWeights> tuned = open_model_weights(config.tuned);
  refuse_different_models(*base, *tuned);
  const std::vector<Target> targets = whole_module_targets(*base, config);
  check_output({config.out, OutputKind::adapter}, {config.base, config.tuned}, config.overwrite);
  MatrixFitter fitter(choice, config.exact, static_cast<std::uint64_t>(config.seed));
  const double start = monotonic_seconds();
  const Extraction extraction = extract_difference(*base, *tuned, targets, fitter, config.whole);
  const double seconds = monotonic_seconds() - start;
  const std::string text = summary(extraction);
  write_adapter_folder(
      config.out, folder_of(*base, config, extraction),
      cat("Extracted from a fully fine-tuned model by `lora-merge extract`.\n\n```\n", text, "```"));
  if (config.json)
    std::cout << extract_json(config, extraction, seconds).dump(2) << "\n" << std::flush;
  else
    std::cout << "extracted " << config.out << " from " << config.tuned << " - " << config.base << " in "
              << human_seconds(seconds) << "\n\n"
              << text << std::flush;
  return 0;
}

}  // namespace lora
