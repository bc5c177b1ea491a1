#include <ATen/ATen.h>

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"
#include "merge/adapter_format.h"
#include "merge/torch_state.h"

namespace lora {
namespace {

// loralib (github.com/microsoft/LoRA): NAME.lora_A and NAME.lora_B, y = W x + alpha / r B A x; r and alpha
// are not stored. MergedLinear: lora_A [r n, in] and lora_B [out / parts n, r] for the n enabled of its
// parts.
constexpr const char *kA = ".lora_A", *kB = ".lora_B";
constexpr const char* kNest = "model_state_dict.";  ///< its GPT-2 example saves {"model_state_dict": ...}

void refuse_missing_scale(const ConvertConfig& config) {
  if (config.rank && config.alpha) return;
  throw Error(ExitCode::usage, "loralib files tell neither r nor lora_alpha, and they are never guessed",
              "give both as in the training: --rank 4 --alpha 32");
}

/// The number of enabled parts; 0 without a mask.
std::int64_t enabled_parts(const std::string& mask) {
  const auto parts = std::count(mask.begin(), mask.end(), '1');
  if (mask.empty() || (parts > 1 && mask.find_first_not_of("01") == std::string::npos)) return parts;
  throw Error(
      ExitCode::usage, cat("--mask \"", printable(mask), "\" is no list of 0 and 1 with two 1 in it"),
      "101 for query and value; a MergedLinear with one part looks like a plain layer and cannot be read");
}

/// A grouped pair as one low-rank product: the groups' columns side by side, each in the rows of its part.
ModuleUpdate ungrouped(ModuleUpdate update, const std::string& mask, std::int64_t rank) {
  const std::int64_t n = enabled_parts(mask), rows = update.B.size(0) / n;
  const at::Tensor grouped = update.B;
  update.B = at::zeros({rows * static_cast<std::int64_t>(mask.size()), rank * n}, grouped.options());
  std::int64_t group = 0;
  for (std::size_t part = 0; part < mask.size(); ++part) {
    if (mask[part] == '0') continue;
    update.B.narrow(0, static_cast<std::int64_t>(part) * rows, rows)
        .narrow(1, group * rank, rank)
        .copy_(grouped.narrow(0, group * rows, rows));
    ++group;
  }
  const double scale = update.scale();
  update.config.rank = rank * n;
  update.config.set_scale(scale);
  return update;
}

/// The module's update, or what is wrong with its factors.
void add_module(std::string module, const at::Tensor& A, const at::Tensor& B, const ConvertConfig& config,
                std::vector<ModuleUpdate>& updates, std::vector<std::string>& defects) {
  const std::int64_t rank = *config.rank, parts = enabled_parts(config.mask);
  if (module.starts_with(kNest)) module = module.substr(std::string(kNest).size());
  ModuleUpdate update;
  update.module = module;
  update.embedding = names_embedding(module);
  update.A = A;
  update.B = B;
  update.config.rank = rank;
  update.config.alpha = *config.alpha;
  const bool matrices = A.dim() == 2 && B.dim() == 2 && A.is_floating_point() && B.is_floating_point();
  if (matrices && A.size(0) == rank && B.size(1) == rank) {
    updates.push_back(update);
  } else if (matrices && parts > 0 && A.size(0) == rank * parts && B.size(1) == rank &&
             B.size(0) % parts == 0) {
    updates.push_back(ungrouped(update, config.mask, rank));
  } else {
    defects.push_back(cat("  ", printable(module), "  has lora_A [", join(A.sizes(), ", "), "] and lora_B [",
                          join(B.sizes(), ", "), "], expected [", rank, ", in] and [out, ", rank, "]"));
  }
}

}  // namespace

AdapterFolder read_loralib(const std::filesystem::path& path, const ConvertConfig& config) {
  refuse_missing_scale(config);
  enabled_parts(config.mask);
  const MappedFile mapped(path);
  const TensorMap tensors = read_torch_state(mapped.bytes(), path.string());
  std::vector<ModuleUpdate> updates;
  std::vector<std::string> defects;
  for (const auto& [name, tensor] : tensors) {
    const bool is_a = name.ends_with(kA), is_b = name.ends_with(kB);
    const std::string module = is_a || is_b ? name.substr(0, name.size() - std::string(kA).size()) : name;
    const auto other = tensors.find(module + (is_a ? kB : kA));
    if (!is_a && !is_b)
      defects.push_back(cat("  ", printable(name), "  is no lora_A or lora_B"));
    else if (other == tensors.end())
      defects.push_back(cat("  ", printable(name), "  without its other factor"));
    else if (is_a)
      add_module(module, tensor, other->second, config, updates, defects);
  }
  if (updates.empty() && defects.empty()) defects.push_back("  no tensor at all");
  if (defects.empty()) return folder_of(updates, config);
  throw Error(
      ExitCode::file,
      cat("\"", path.string(), "\" is no loralib adapter of rank ", *config.rank, "\n", join(defects, "\n")),
      "--rank is r of the training; a MergedLinear needs --mask; biases cannot be converted");
}

void write_loralib(const std::filesystem::path& path, const AdapterFolder& adapter, const ConvertConfig&) {
  refuse_inexpressible(adapter, "loralib");
  TensorMap tensors;
  const double scale = adapter.config.defaults.scale();
  for (const ModuleUpdate& update : module_updates(adapter)) {
    // lora.Linear(r, lora_alpha) multiplies by lora_alpha / r with its own r: the scale of the default has to
    // be kept.
    const ModuleUpdate fitted = with_scale(update, scale);
    tensors[update.module + kA] = fitted.A;
    tensors[update.module + kB] = fitted.B;
  }
  write_file_atomically(path, write_torch_state(tensors));
}

}  // namespace lora
