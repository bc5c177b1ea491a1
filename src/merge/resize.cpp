#include "lora/merge/resize.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <iostream>

#include "lora/base/error.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/base/version.h"
#include "lora/config/check.h"
#include "merge/fit_report.h"
#include "merge/low_rank_fit.h"
#include "merge/output_path.h"
#include "merge/slice_parts.h"

namespace lora {
namespace {

/// |B A| from the factors' Gram matrices.
double product_norm(const SlicePart& part) {
  const at::Tensor A = part.A.to(at::kDouble), B = part.B.to(at::kDouble);
  const double square = (at::mm(B.t(), B) * at::mm(A, A.t())).sum().item<double>();
  return std::sqrt(std::max(square, 0.0));
}

/// The factors with `more` ranks that do nothing: no bit of the update changes.
LowRankFit padded(const SlicePart& part, std::int64_t more) {
  return {at::constant_pad_nd(part.A, {0, 0, 0, more}), at::constant_pad_nd(part.B, {0, more}),
          product_norm(part), 0};
}

LowRankFit resized(const SlicePart& part, const RankChoice& choice) {
  const std::int64_t more = choice.rank - part.A.size(0);
  return choice.is_fixed() && more >= 0 ? padded(part, more) : fit_product(part.B, part.A, choice);
}

struct ResizedAdapter {
  AdapterFolder folder;
  std::vector<ModuleFit> fits;
};

void refuse_updates_of_the_base(const std::vector<ModuleUpdate>& updates) {
  std::vector<std::string> dependent;
  for (const ModuleUpdate& update : updates) {
    if (update.config.method != "lora")
      dependent.push_back(cat("  ", printable(update.module), " (", update.config.method, ")"));
  }
  if (dependent.empty()) return;
  throw Error(ExitCode::mismatch,
              cat("the updates of ", dependent.size(), " of ", updates.size(),
                  " modules are no products: they depend on the base's weights\n", join(dependent, "\n")),
              "lora-merge combine ADAPTER --model BASE --rank R approximates them");
}

ResizedAdapter resize_all(const AdapterFolder& folder, const RankChoice& choice) {
  const std::vector<ModuleUpdate> before = module_updates(folder);
  refuse_updates_of_the_base(before);
  ResizedAdapter result{folder, {}};
  std::vector<ModuleUpdate> after;
  for (const ModuleUpdate& update : before) {
    double norm = 0, lost = 0;
    std::vector<SlicePart> parts = parts_of(update, folder);
    for (SlicePart& part : parts) {
      const LowRankFit fit = resized(part, choice);
      part = {part.slice, fit.A, fit.B};
      norm = std::hypot(norm, fit.norm);  // slices have different rows: their squares add
      lost = std::hypot(lost, fit.lost);
    }
    after.push_back(join_parts(update, parts, update.scale()));
    if (auto blocks = blocks_of(parts); !blocks.empty())
      result.folder.blocks[update.module] = std::move(blocks);
    const double scale = std::abs(update.scale());
    result.fits.push_back({update.module, after.back().config.rank, scale * norm, scale * lost});
  }
  result.folder = with_modules(std::move(result.folder), after);
  return result;
}

void add_facts(AdapterProvenance& provenance, const AdapterFolder& source, double error) {
  provenance.facts["made_by"] = "resize";
  provenance.facts["sources"] =
      Json::array({{{"path", source.path.string()}, {"sha256", source.sha256}}}).dump();
  provenance.facts["relative_error"] = Json(error).dump();
  provenance.facts["version"] = version();
  provenance.facts["written"] = utc_timestamp();
}

}  // namespace

int resize(const ResizeConfig& config) {
  const at::NoGradGuard no_grad;
  check_config(config);
  const RankChoice choice = rank_choice(config.rank, config.error, config.energy);
  const AdapterFolder source = read_adapter_folder(config.adapter);
  check_output({config.out, OutputKind::adapter}, {config.adapter}, config.overwrite);
  ResizedAdapter result = resize_all(source, choice);
  const double error = total_error(result.fits);
  add_facts(result.folder.provenance, source, error);
  const std::string table = fits_text(result.fits);
  write_adapter_folder(config.out, result.folder,
                       cat("Resized from an adapter with sha256 ", source.sha256,
                           " by `lora-merge resize`.\n\n```\n", table, "```"));
  if (config.json) {
    const Json json = {{"adapter", config.adapter},
                       {"adapter_sha256", source.sha256},
                       {"out", config.out},
                       {"modules", fits_json(result.fits)},
                       {"relative_error", error}};
    std::cout << json.dump(2) << "\n" << std::flush;
  } else {
    std::cout << "resized " << config.adapter << " into " << config.out << "\n\n" << table << std::flush;
  }
  return 0;
}

}  // namespace lora
