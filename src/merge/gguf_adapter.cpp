#include <ATen/ATen.h>

#include <set>

#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"
#include "merge/adapter_format.h"
#include "merge/gguf_file.h"
#include "merge/gguf_names.h"

namespace lora {
namespace {

// llama.cpp: the update is alpha / r B A, with r from each tensor and one alpha for all. NAME.weight.lora_a
// [r, in] and NAME.weight.lora_b [out, r]; the token embedding has its lora_a transposed, [rows, r].
constexpr const char *kA = ".weight.lora_a", *kB = ".weight.lora_b";
constexpr const char *kAlpha = "adapter.lora.alpha", *kArchitecture = "general.architecture";

GgufBase base_of(const ConvertConfig& config) {
  if (!config.base_config.empty()) return read_gguf_base(config.base_config);
  throw Error(ExitCode::usage,
              "gguf names its tensors after the base's architecture: --base-config is missing",
              "give the config.json of the base model's Hugging Face folder");
}

bool is_transposed(const std::string& gguf) { return gguf == "token_embd" || gguf == "position_embd"; }

at::ScalarType type_of(const std::string& dtype) {
  return dtype == "f16" ? at::kHalf : dtype == "bf16" ? at::kBFloat16 : at::kFloat;
}

template <class Value>
Value value_of(const GgufFile& file, const char* key, const std::string& place) {
  const auto found = file.metadata.find(key);
  const Value* value = found == file.metadata.end() ? nullptr : std::get_if<Value>(&found->second);
  if (value) return *value;
  throw Error(ExitCode::file, cat(place, " is no LoRA of llama.cpp: it has no ", key));
}

std::string defect(const at::Tensor& A, const at::Tensor& B) {
  if (A.dim() == 2 && B.dim() == 2 && A.size(0) == B.size(1) && A.size(0) > 0) return {};
  return cat("has lora_a [", join(A.sizes(), ", "), "] and lora_b [", join(B.sizes(), ", "),
             "], which do not fit");
}

}  // namespace

AdapterFolder read_gguf_adapter(const std::filesystem::path& path, const ConvertConfig& config) {
  const GgufBase base = base_of(config);
  const MappedFile mapped(path);
  const std::string place = path.string();
  const GgufFile file = parse_gguf(mapped.bytes(), place);
  if (const auto theirs = value_of<std::string>(file, kArchitecture, place); theirs != base.architecture) {
    throw Error(ExitCode::mismatch, cat(place, " belongs to the architecture \"", printable(theirs),
                                        "\", --base-config is of ", base.architecture));
  }
  const double alpha = value_of<double>(file, kAlpha, place);
  std::vector<ModuleUpdate> updates;
  std::vector<std::string> defects;
  for (const auto& [key, tensor] : file.tensors) {
    const bool is_a = key.ends_with(kA), is_b = key.ends_with(kB);
    const std::string gguf = is_a || is_b ? key.substr(0, key.size() - std::string(kA).size()) : key;
    const std::string module = is_a || is_b ? module_name(base, gguf) : std::string();
    const auto other = file.tensors.find(gguf + (is_a ? kB : kA));
    if (module.empty() || other == file.tensors.end()) {
      defects.push_back(
          cat("  ", printable(key), module.empty() ? "  unknown" : "  without its other factor"));
      continue;
    }
    if (!is_a) continue;
    ModuleUpdate update;
    update.module = module;
    update.embedding = is_transposed(gguf);
    update.A = update.embedding ? tensor.t().contiguous() : tensor;
    update.B = from_gguf_rows(base, gguf, other->second);
    const std::string wrong = defect(update.A, update.B);
    if (!wrong.empty()) {
      defects.push_back(cat("  ", printable(gguf), "  ", wrong));
      continue;
    }
    update.config.rank = update.A.size(0);
    update.config.alpha = alpha;
    updates.push_back(std::move(update));
  }
  if (updates.empty() && defects.empty()) defects.push_back("  no tensor at all");
  if (defects.empty()) return folder_of(updates, config);
  throw Error(ExitCode::file,
              cat(place, " is no LoRA of a ", base.architecture, " model\n", join(defects, "\n")));
}

void write_gguf_adapter(const std::filesystem::path& path, const AdapterFolder& adapter,
                        const ConvertConfig& config) {
  refuse_inexpressible(adapter, "gguf");
  const GgufBase base = base_of(config);
  const double alpha = adapter.config.defaults.scale() * static_cast<double>(adapter.config.defaults.rank);
  GgufFile file;
  std::vector<std::string> unknown;
  for (const ModuleUpdate& update : module_updates(adapter)) {
    const std::string gguf = gguf_name(base, update.module);
    if (gguf.empty()) {
      unknown.push_back("  " + printable(update.module));
      continue;
    }
    const ModuleUpdate fitted = with_scale(update, alpha / static_cast<double>(update.config.rank));
    const at::ScalarType type = type_of(config.dtype);
    file.tensors[gguf + kA] = (is_transposed(gguf) ? fitted.A.t() : fitted.A).to(type).contiguous();
    file.tensors[gguf + kB] = to_gguf_rows(base, gguf, fitted.B).to(type).contiguous();
  }
  if (!unknown.empty()) {
    throw Error(ExitCode::mismatch,
                cat(base.architecture, " models of llama.cpp have no tensor for\n", join(unknown, "\n")),
                "give the config.json of the adapter's base, or merge the adapter and convert the model");
  }
  file.metadata = {{"general.type", std::string("adapter")},
                   {kArchitecture, base.architecture},
                   {"adapter.type", std::string("lora")},
                   {kAlpha, alpha}};
  if (!adapter.provenance.base_name.empty())
    file.metadata["general.base_model.0.name"] = adapter.provenance.base_name;
  write_file_atomically(path, serialize_gguf(file));
}

}  // namespace lora
