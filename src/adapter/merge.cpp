#include "adapter/merge.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "adapter/token_rows.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

bool is_finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

void refuse_shared_slots(const Program& program, const AdapterMix& mix) {
  for (const WeightedAdapter& each : mix) {
    for (const AdaptedTarget& adapted : each.adapter->targets) {
      const Site& site = *adapted.target.site;
      if (site.own_slot) continue;
      std::vector<std::string> others;
      for (const Site& other : program.sites()) {
        if (&other != &site && other.weight == site.weight) others.push_back(other.path);
      }
      throw Error(
          ExitCode::mismatch,
          cat("cannot merge into \"", site.path, "\": the file stores one tensor (", site.weight,
              ") for it and ", join(others, ", "), ", which would change too"),
          "use the adapter unmerged, train one without this target, or export the model with untied weights");
    }
  }
}

std::vector<const AdaptedTarget*> targets_at(const Adapter& adapter, const std::string& weight) {
  std::vector<const AdaptedTarget*> targets;
  for (const AdaptedTarget& adapted : adapter.targets) {
    if (adapted.target.site->weight == weight) targets.push_back(&adapted);
  }
  return targets;
}

/// Null if the adapter has none there.
const TokenRows* token_rows_at(const Adapter& adapter, const std::string& weight) {
  for (const TokenRows& rows : adapter.token_rows) {
    if (std::find(rows.paths.begin(), rows.paths.end(), weight) != rows.paths.end()) return &rows;
  }
  return nullptr;
}

/// True if all uses of the weight change alike: token rows.
bool changes_everywhere(const AdapterMix& mix, const std::string& weight) {
  return std::any_of(mix.begin(), mix.end(), [&](const WeightedAdapter& each) {
    return token_rows_at(*each.adapter, weight) != nullptr;
  });
}

}  // namespace

void refuse_non_finite(const Adapter& adapter) {
  std::vector<std::string> bad;
  for (const auto& [name, tensor] : adapter.tensors()) {
    if (!is_finite(*tensor)) bad.push_back(name);
  }
  if (bad.empty()) return;
  throw Error(ExitCode::file,
              cat("the adapter has ", bad.size(), " tensors with NaN or Inf: ", join(bad, ", ")),
              "it comes from a diverged training or is damaged: use an earlier one");
}

at::Tensor updated_weight(const at::Tensor& base, const std::vector<const AdaptedTarget*>& targets) {
  const at::NoGradGuard no_grad;
  at::Tensor updated = base.to(at::kDouble);
  for (const AdaptedTarget* adapted : targets) {
    const AdaptedTarget plain = adapted->plain();
    updated =
        find_method(plain.config.method).effective_weight(updated, plain.target, plain.tensors, plain.config);
  }
  return updated;
}

std::vector<std::string> weights_to_merge(const Program& program, const AdapterMix& mix) {
  refuse_shared_slots(program, mix);
  std::vector<std::string> paths;
  const auto add = [&](const std::string& path) {
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
  };
  for (const WeightedAdapter& each : mix) {
    for (const AdaptedTarget& adapted : each.adapter->targets) add(adapted.target.site->weight);
    for (const TokenRows& rows : each.adapter->token_rows)
      std::for_each(rows.paths.begin(), rows.paths.end(), add);
  }
  return paths;
}

MergedWeight merge_weight(const AdapterMix& mix, const std::string& path, const at::Tensor& base) {
  const at::NoGradGuard no_grad;
  MergedWeight merged{path, {}, {}};
  const at::Tensor exact_base = base.to(at::kDouble);
  at::Tensor exact = exact_base;
  for (const auto& [adapter, weight] : mix) {
    const auto targets = targets_at(*adapter, path);
    const TokenRows* rows = token_rows_at(*adapter, path);
    if (targets.empty() && !rows) continue;
    merged.module = rows ? rows->module : targets.front()->target.site->path;
    const at::Tensor updated =
        rows ? with_token_rows(exact_base, *rows) : updated_weight(exact_base, targets);
    const bool alone = mix.size() == 1 && weight == 1;
    exact = alone ? updated : exact + (updated - exact_base) * weight;
  }
  merged.update = round_update(base.cpu(), exact.cpu());
  if (!merged.update.finite) {
    throw Error(ExitCode::mismatch, cat("merging into \"", path, "\" overflows ", base.dtype().name()),
                "export the model in a type with more range (float32, bfloat16)");
  }
  return merged;
}

std::vector<MergedWeight> merge_targets(const Program& program, const AdapterMix& mix) {
  for (const WeightedAdapter& each : mix) refuse_non_finite(*each.adapter);
  std::vector<MergedWeight> merged;
  for (const std::string& path : weights_to_merge(program, mix)) {
    const auto same = std::find_if(merged.begin(), merged.end(), [&](const MergedWeight& each) {
      return &program.weight(each.path) == &program.weight(path) && changes_everywhere(mix, path);
    });
    if (same == merged.end()) {
      merged.push_back(merge_weight(mix, path, program.weight(path).value));
    } else {
      MergedWeight alias = *same;  // with the same tensor, so that the file stores it once
      alias.path = path;
      merged.push_back(std::move(alias));
    }
  }
  return merged;
}

std::map<std::string, at::Tensor> whole_weights(const AdapterMix& mix) {
  std::map<std::string, at::Tensor> whole;
  std::vector<std::string> refused;
  for (const auto& [adapter, weight] : mix) {
    for (const auto& [path, value] : adapter->saved_weights) {
      if (weight != 1) refused.push_back(cat("  ", path, "  has the factor ", weight));
      if (!whole.emplace(path, value).second) refused.push_back(cat("  ", path, "  is in two adapters"));
    }
  }
  if (refused.empty()) return whole;
  throw Error(ExitCode::mismatch,
              cat("weights that adapters hold whole (modules_to_save, biases) replace the base's and cannot "
                  "be summed\n",
                  join(refused, "\n")),
              "give one adapter that holds them, with the factor 1; lora-merge combine has choices for them");
}

void refuse_no_change(const Program& program, const std::map<std::string, at::Tensor>& whole,
                      const std::vector<MergedWeight>& merged) {
  const bool any_merged =
      std::any_of(merged.begin(), merged.end(), [](const auto& each) { return each.changed(); });
  const bool any_whole = std::any_of(whole.begin(), whole.end(), [&](const auto& entry) {
    return !at::equal(entry.second, program.weight(entry.first).value);
  });
  if (any_merged || any_whole) return;
  throw Error(ExitCode::mismatch,
              cat("merging would change nothing: none of ", merged.size(), " weights gets another value"),
              "the adapter is untrained, or its update is below the resolution of the base's number type");
}

std::map<std::string, at::Tensor> merged_weights(const Program& program, const Adapter& adapter) {
  const AdapterMix mix{{&adapter}};
  const auto merged = merge_targets(program, mix);
  std::map<std::string, at::Tensor> weights = whole_weights(mix);
  refuse_no_change(program, weights, merged);
  for (const MergedWeight& each : merged) weights[each.path] = each.update.value;
  return weights;
}

}  // namespace lora
