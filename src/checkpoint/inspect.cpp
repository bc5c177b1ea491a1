#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "base/json.h"
#include "base/text_table.h"
#include "checkpoint/peft_keys.h"
#include "checkpoint/report_text.h"
#include "lora/base/text.h"
#include "lora/checkpoint/merge.h"

namespace lora {
namespace {

/// What inspection finds about one adapted module.
struct ModuleFacts {
  std::string module;
  std::int64_t rank = 0, in = 0, out = 0;
  double alpha = 0, scale = 0;
  std::vector<std::string> slices;
  std::int64_t parameters = 0;
  double update_norm = 0;  ///< |scale B A|, Frobenius; NaN if a factor is not finite
};

/// |B A| without the product: |B A|^2 = sum over i, j of (B^T B)_ij (A A^T)_ij.
double product_norm(const at::Tensor& A, const at::Tensor& B) {
  const at::Tensor a = A.to(at::kDouble), b = B.to(at::kDouble);
  const double square = (at::mm(b.t(), b) * at::mm(a, a.t())).sum().item<double>();
  return std::sqrt(std::max(square, std::isnan(square) ? square : 0.0));
}

std::vector<ModuleFacts> module_facts(const AdapterFolder& folder, const PeftTensors& tensors) {
  const at::NoGradGuard no_grad;
  std::vector<ModuleFacts> all;
  for (const auto& [module, factors] : tensors.modules) {
    const auto [A, B] = factors_of(factors);
    const MethodConfig config = folder.config.of(module);
    ModuleFacts facts{module, config.rank, A.size(1), B.size(0), config.alpha, config.scale(), {}, A.numel() + B.numel(), 0};
    facts.update_norm = std::abs(facts.scale) * product_norm(A, B);
    if (const auto blocks = folder.blocks.find(module); blocks != folder.blocks.end()) {
      for (const RankBlock& block : blocks->second) facts.slices.push_back(block.slice);
    }
    all.push_back(std::move(facts));
  }
  return all;
}

/// Modules with one pattern, rank, alpha and shape.
struct ModuleGroup {
  std::string pattern;
  ModuleFacts first;
  std::int64_t count = 0, parameters = 0;
  double smallest_norm = 0, largest_norm = 0;
};

bool belong_together(const ModuleFacts& a, const ModuleFacts& b) {
  return a.rank == b.rank && a.alpha == b.alpha && a.in == b.in && a.out == b.out && a.slices == b.slices;
}

std::vector<ModuleGroup> group(const std::vector<ModuleFacts>& modules) {
  std::vector<ModuleGroup> groups;
  for (const ModuleFacts& facts : modules) {
    const std::string pattern = module_pattern(facts.module);
    auto found = std::find_if(groups.begin(), groups.end(), [&](const ModuleGroup& each) {
      return each.pattern == pattern && belong_together(each.first, facts);
    });
    if (found == groups.end()) {
      found = groups.insert(groups.end(), {pattern, facts, 0, 0, facts.update_norm, facts.update_norm});
    }
    ++found->count;
    found->parameters += facts.parameters;
    found->smallest_norm = std::min(found->smallest_norm, facts.update_norm);
    found->largest_norm = std::max(found->largest_norm, facts.update_norm);
  }
  return groups;
}

/// Everything that is reported about a folder.
struct Inspection {
  const AdapterFolder& folder;
  std::vector<ModuleFacts> modules;
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> whole;  ///< parameters trained whole, with their shapes
  std::int64_t parameters = 0;
  std::vector<std::string> not_finite, without_update;
};

Inspection look_at(const AdapterFolder& folder) {
  const PeftTensors tensors = split_keys(folder.tensors, folder.path.string());
  Inspection found{folder, module_facts(folder, tensors), {}, 0, {}, {}};
  for (const auto& [path, value] : tensors.whole) {
    found.whole.emplace_back(path, value.sizes().vec());
    found.parameters += value.numel();
  }
  for (const ModuleFacts& facts : found.modules) {
    found.parameters += facts.parameters;
    if (facts.update_norm == 0) found.without_update.push_back(facts.module);
  }
  for (const auto& [key, value] : folder.tensors) {
    if (!at::isfinite(value).all().item<bool>()) found.not_finite.push_back(key);
  }
  return found;
}

Json inspection_json(const Inspection& found) {
  const AdapterFolder& folder = found.folder;
  Json modules = Json::array(), whole = Json::array();
  for (const ModuleFacts& facts : found.modules) {
    modules.push_back({{"module", facts.module},
                       {"rank", facts.rank},
                       {"alpha", facts.alpha},
                       {"scale", facts.scale},
                       {"in", facts.in},
                       {"out", facts.out},
                       {"slices", facts.slices},
                       {"parameters", facts.parameters},
                       {"update_norm", facts.update_norm}});
  }
  for (const auto& [path, shape] : found.whole) whole.push_back({{"parameter", path}, {"shape", shape}});
  return {{"adapter", folder.path.string()},
          {"method", folder.config.defaults.method},
          {"rank_stabilized", folder.config.defaults.rank_stabilized},
          {"task_type", folder.config.task_type},
          {"base", folder.provenance.base_name},
          {"base_fingerprint", folder.provenance.base_fingerprint},
          {"tokenizer_hash", folder.provenance.tokenizer_hash},
          {"facts", folder.provenance.facts},
          {"parameters", found.parameters},
          {"bytes", folder.bytes},
          {"sha256", folder.sha256},
          {"modules", modules},
          {"trained_whole", whole},
          {"not_finite", found.not_finite},
          {"without_update", found.without_update}};
}

std::string or_unknown(const std::string& text) { return text.empty() ? "unknown" : printable(text); }

std::string facts_text(const Inspection& found) {
  const AdapterFolder& folder = found.folder;
  const AdapterProvenance& provenance = folder.provenance;
  const bool ours = !provenance.base_fingerprint.empty();
  std::string text = cat("adapter      ", folder.path.string(), "\n", "method       ", folder.config.defaults.method,
                         folder.config.defaults.rank_stabilized ? ", rank-stabilized scale" : "", "\n", "task         ",
                         or_unknown(folder.config.task_type), "\n", "base         ", or_unknown(provenance.base_name),
                         "\n", "fingerprint  ", or_unknown(provenance.base_fingerprint), "\n", "tokenizer    ",
                         or_unknown(provenance.tokenizer_hash), "\n", "parameters   ", found.parameters, " in ",
                         folder.tensors.size(), " tensors\n", "file         ", human_bytes(folder.bytes), ", sha256 ",
                         folder.sha256, "\n", "content      ",
                         ours ? "agrees with its recorded hash" : "has no recorded hash (written by another tool)", "\n");
  for (const auto& [name, value] : provenance.facts) {
    text += printable(cat(name, std::string(name.size() < 12 ? 12 - name.size() : 0, ' '), " ", value)) + "\n";
  }
  return text;
}

std::string modules_table(const Inspection& found) {
  TextTable table({"module", "count", "rank", "alpha", "in", "out", "parameters", "update norm", "slices"}, {8});
  for (const ModuleGroup& each : group(found.modules)) {
    const std::string smallest = significant(each.smallest_norm, 3), largest = significant(each.largest_norm, 3);
    table.add({each.pattern, cat(each.count), cat(each.first.rank), significant(each.first.alpha, 6), cat(each.first.in),
               cat(each.first.out), cat(each.parameters), smallest == largest ? largest : cat(smallest, " - ", largest),
               join(each.first.slices, " ")});
  }
  return table.str();
}

std::string inspection_text(const Inspection& found) {
  std::string text = facts_text(found) + "\n";
  if (!found.modules.empty()) text += modules_table(found) + "update norm: |scale B A|, Frobenius\n";
  for (const auto& [path, shape] : found.whole) {
    text += cat("trained whole: ", printable(path), " [", join(shape, ", "), "]\n");
  }
  if (!found.not_finite.empty()) {
    text += cat("damaged: NaN or Inf in ", printable(join(found.not_finite, ", ")), "\n");
  }
  if (!found.without_update.empty()) {
    text += cat("untrained: the update is zero in ", found.without_update.size(), " of ", found.modules.size(),
                " modules\n");
  }
  return text;
}

}  // namespace

int inspect(const InspectConfig& config) {
  const AdapterFolder folder = read_adapter_folder(config.adapter);
  const Inspection found = look_at(folder);
  std::cout << (config.json ? inspection_json(found).dump(2) + "\n" : inspection_text(found)) << std::flush;
  return 0;
}

}  // namespace lora
