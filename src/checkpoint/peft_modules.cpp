#include "checkpoint/peft_modules.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "checkpoint/peft_keys.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char *kA = "lora_A.weight", *kB = "lora_B.weight";

at::Tensor rows_of(const SiteSlice& slice, const at::Tensor& like) {
  return at::tensor(slice.rows, at::kLong).to(like.device());
}

/// The base's magnitudes with those of the slices in their rows.
at::Tensor stack_magnitudes(const at::Tensor& base, const std::vector<const AdaptedTarget*>& parts) {
  const Site& site = *parts.front()->target.site;
  const at::Tensor by_output = site.kind == SiteKind::linear ? base : base.t();
  at::Tensor all = at::linalg_vector_norm(by_output, 2, {1}, false, at::kFloat);
  for (const AdaptedTarget* part : parts) {
    const at::Tensor& own = part->tensors.at(kMagnitudeLeaf);
    all = part->target.slice ? all.index_copy(0, rows_of(*part->target.slice, own), own) : own;
  }
  return all;
}

PeftModule stack(const Program& program, const std::vector<const AdaptedTarget*>& parts) {
  const AdaptedTarget& first = *parts.front();
  const double scale = first.config.scale();
  PeftModule module{first.target.site, first.config, {}, {}};
  std::vector<at::Tensor> down, up;
  module.config.rank = 0;
  for (const AdaptedTarget* part : parts) {
    if (part->config.scale() != scale) {
      throw Error(ExitCode::internal, cat("slices of ", module.site->path, " have different scales"));
    }
    const at::Tensor &A = part->tensors.at(kA), &B = part->tensors.at(kB);
    const SiteSlice* slice = part->target.slice;
    down.push_back(A);
    up.push_back(
        slice ? at::zeros({module.site->out, B.size(1)}, B.options()).index_copy_(0, rows_of(*slice, B), B)
              : B);
    module.blocks.push_back({slice ? to_string(slice->role) : "", part->config.rank});
    module.config.rank += part->config.rank;
  }
  module.config.set_scale(scale);
  module.tensors = {{kA, at::cat(down, 0)}, {kB, at::cat(up, 1)}};
  if (first.tensors.count(kMagnitudeLeaf)) {
    module.tensors[kMagnitudeLeaf] = stack_magnitudes(program.weight(module.site->weight).value, parts);
  }
  return module;
}

const SiteSlice* find_slice(const Site& site, const std::string& name) {
  const auto found = std::find_if(site.slices.begin(), site.slices.end(),
                                  [&](const SiteSlice& slice) { return to_string(slice.role) == name; });
  if (found == site.slices.end()) {
    throw Error(ExitCode::file, cat("the adapter has a part \"", printable(name), "\" of ", site.path,
                                    ", where the model has no such slice"));
  }
  return &*found;
}

}  // namespace

std::vector<PeftModule> peft_modules(const Program& program, const Adapter& adapter) {
  std::vector<std::pair<const Site*, std::vector<const AdaptedTarget*>>> by_site;
  for (const AdaptedTarget& adapted : adapter.targets) {
    const auto found = std::find_if(by_site.begin(), by_site.end(),
                                    [&](const auto& group) { return group.first == adapted.target.site; });
    if (found != by_site.end())
      found->second.push_back(&adapted);
    else
      by_site.push_back({adapted.target.site, {&adapted}});
  }
  std::vector<PeftModule> modules;
  for (const auto& [site, parts] : by_site) {
    const bool plain = parts.size() == 1 && !parts.front()->target.slice;
    modules.push_back(plain ? PeftModule{site, parts.front()->config, parts.front()->tensors, {}}
                            : stack(program, parts));
  }
  return modules;
}

std::vector<AdaptedTarget> targets_of(const PeftModule& module) {
  if (module.blocks.empty()) return {{{module.site, nullptr}, module.config, module.tensors}};
  const at::Tensor &A = module.tensors.at(kA), &B = module.tensors.at(kB);
  std::vector<AdaptedTarget> targets;
  std::int64_t begin = 0, non_zero = 0;
  for (const RankBlock& block : module.blocks) {
    if (begin + block.rank > module.config.rank) break;
    const SiteSlice* slice = block.slice.empty() ? nullptr : find_slice(*module.site, block.slice);
    MethodConfig config = module.config;
    config.rank = block.rank;
    config.set_scale(module.config.scale());
    const at::Tensor columns = B.narrow(1, begin, block.rank);
    const at::Tensor up = slice ? columns.index_select(0, rows_of(*slice, B)) : columns.clone();
    non_zero += up.count_nonzero().item<std::int64_t>();
    targets.push_back(
        {{module.site, slice}, config, {{kA, A.narrow(0, begin, block.rank).clone()}, {kB, up}}});
    if (const auto m = module.tensors.find(kMagnitudeLeaf); m != module.tensors.end()) {
      targets.back().tensors[kMagnitudeLeaf] =
          slice ? m->second.index_select(0, rows_of(*slice, B)) : m->second;
    }
    begin += block.rank;
  }
  if (targets.size() != module.blocks.size() || begin != module.config.rank ||
      non_zero != B.count_nonzero().item<std::int64_t>()) {
    throw Error(ExitCode::file,
                cat("the tensors of ", module.site->path, " do not have the parts that lora.blocks lists"));
  }
  return targets;
}

}  // namespace lora
