#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/path_pattern.h"
#include "lora/base/text.h"
#include "lora/checkpoint/safetensors.h"
#include "merge/adapter_format.h"

namespace lora {
namespace {

// mlx-lm: y = W x + scale (x lora_a) lora_b, lora_a [in, r], lora_b [r, out]; one rank and one scale for all
// modules.
constexpr const char *kTensors = "adapters.safetensors", *kConfig = "adapter_config.json";
constexpr const char *kA = ".lora_a", *kB = ".lora_b";
constexpr std::uint64_t kMostConfigBytes = 16 << 20;

/// Hugging Face paths that mlx-lm begins otherwise.
constexpr std::pair<const char*, const char*> kPrefixes[] = {{"transformer.", "model."},
                                                             {"gpt_neox.", "model."}};

std::string to_mlx(const std::string& module) {
  for (const auto& [theirs, ours] : kPrefixes) {
    if (module.starts_with(theirs)) return ours + module.substr(std::string(theirs).size());
  }
  return module;
}

/// "model.h.3.attn.c_attn" began with "transformer." at Hugging Face, "model.layers.3..." did not.
std::string from_mlx(const std::string& module) {
  static const PathPattern gpt2(R"(model\.(h\.\d+\..*|wte|wpe))", "module", ExitCode::file);
  return gpt2.matches(module) ? "transformer." + module.substr(6) : module;
}

/// "self_attn.q_proj" of "model.layers.3.self_attn.q_proj", as the loader looks for it inside a layer; other
/// paths whole.
std::string key_of(const std::string& module) {
  static const PathPattern in_layer(R"(model\.(layers|h)\.\d+\..+)", "module", ExitCode::file);
  return in_layer.matches(module) ? module.substr(module.find('.', module.find('.', 6) + 1) + 1) : module;
}

/// Zero rows of A and columns of B up to the rank: nothing else changes.
ModuleUpdate padded(ModuleUpdate update, std::int64_t rank) {
  const double scale = update.scale();
  const std::int64_t more = rank - update.config.rank;
  if (more > 0) {
    update.A = at::cat({update.A, at::zeros({more, update.in()}, update.A.options())}, 0);
    update.B = at::cat({update.B, at::zeros({update.out(), more}, update.B.options())}, 1);
    update.config.rank = rank;
    update.config.set_scale(scale);
  }
  return update;
}

struct MlxConfig {
  std::int64_t rank = 0;
  double scale = 0, dropout = 0;
};

MlxConfig parse_config(const std::filesystem::path& path) {
  const JsonOrigin origin{(path / kConfig).string(), ExitCode::file};
  const Json json = parse_json(read_file(path / kConfig, kMostConfigBytes), origin);
  const std::string type = json_string(json_at(json, "fine_tune_type", origin), "fine_tune_type", origin);
  if (type != "lora") {
    throw Error(ExitCode::file,
                cat(origin.place, ": fine_tune_type is \"", printable(type), "\", known is lora"),
                "fuse it with mlx_lm.fuse, or train it as LoRA");
  }
  const Json& parameters = json_at(json, "lora_parameters", origin);
  MlxConfig config;
  config.rank = json_int(json_at(parameters, "rank", origin), "rank", origin);
  config.scale = json_number(json_at(parameters, "scale", origin), "scale", origin);
  if (parameters.contains("dropout")) config.dropout = json_number(parameters["dropout"], "dropout", origin);
  if (config.rank < 1 || !(config.scale > 0))
    throw Error(ExitCode::file,
                cat(origin.place, ": rank ", config.rank, ", scale ", config.scale, " make no update"));
  return config;
}

ModuleUpdate read_module(const std::string& name, const TensorMap& tensors, const MlxConfig& config) {
  ModuleUpdate update;
  update.module = from_mlx(name);
  update.embedding = names_embedding(update.module);
  update.config.rank = config.rank;
  update.config.set_scale(config.scale);
  update.config.dropout = config.dropout;
  update.A = tensors.at(name + kA).t().contiguous();
  update.B = tensors.at(name + kB).t().contiguous();
  return update;
}

/// What is wrong with a module's tensors; empty if nothing.
std::string defect(const std::string& name, const TensorMap& tensors, const MlxConfig& config) {
  const auto a = tensors.find(name + kA), b = tensors.find(name + kB);
  if (a == tensors.end() || b == tensors.end())
    return cat("lacks ", a == tensors.end() ? "lora_a" : "lora_b");
  const at::Tensor &A = a->second, &B = b->second;
  if (!A.is_floating_point() || !B.is_floating_point()) return "holds no floating-point numbers";
  if (A.dim() == 2 && B.dim() == 2 && A.size(1) == config.rank && B.size(0) == config.rank) return {};
  return cat("has lora_a [", join(A.sizes(), ", "), "] and lora_b [", join(B.sizes(), ", "),
             "], expected [in, ", config.rank, "] and [", config.rank, ", out]");
}

}  // namespace

AdapterFolder read_mlx(const std::filesystem::path& path, const ConvertConfig& config) {
  const MlxConfig parameters = parse_config(path);
  const TensorMap tensors = read_safetensors(path / kTensors).tensors;
  std::set<std::string> modules;
  std::vector<std::string> defects;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(kA) || name.ends_with(kB))
      modules.insert(name.substr(0, name.size() - std::string(kA).size()));
    else
      defects.push_back(cat("  ", printable(name), "  is no lora_a or lora_b"));
  }
  std::vector<ModuleUpdate> updates;
  for (const std::string& name : modules) {
    const std::string wrong = defect(name, tensors, parameters);
    if (!wrong.empty())
      defects.push_back(cat("  ", printable(name), "  ", wrong));
    else
      updates.push_back(read_module(name, tensors, parameters));
  }
  if (updates.empty() && defects.empty()) defects.push_back("  no tensor at all");
  if (!defects.empty()) {
    throw Error(ExitCode::file,
                cat("\"", (path / kTensors).string(), "\" is no LoRA of mlx-lm\n", join(defects, "\n")));
  }
  return folder_of(updates, config);
}

void write_mlx(const std::filesystem::path& path, const AdapterFolder& adapter, const ConvertConfig&) {
  refuse_inexpressible(adapter, "mlx");
  const std::vector<ModuleUpdate> updates = module_updates(adapter);
  std::int64_t rank = 0;
  for (const ModuleUpdate& update : updates) rank = std::max(rank, update.config.rank);
  const double scale = adapter.config.defaults.scale();
  SafetensorsFile file;
  std::set<std::string> keys;
  for (const ModuleUpdate& update : updates) {
    const ModuleUpdate fitted = padded(with_scale(update, scale), rank);
    const std::string name = to_mlx(update.module);
    file.tensors[name + kA] = fitted.A.t().contiguous();
    file.tensors[name + kB] = fitted.B.t().contiguous();
    keys.insert(key_of(name));
  }
  file.metadata["format"] = "mlx";
  const Json config = {
      {"fine_tune_type", "lora"},
      {"model", adapter.provenance.base_name},
      {"num_layers", -1},
      {"lora_parameters",
       {{"rank", rank}, {"scale", scale}, {"dropout", adapter.config.defaults.dropout}, {"keys", keys}}}};
  PendingFolder folder(path);
  folder.write(kConfig, config.dump(2) + "\n");
  folder.write(kTensors, serialize_safetensors(file));
  folder.accept();
}

}  // namespace lora
