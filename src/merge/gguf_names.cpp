#include "merge/gguf_names.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::uint64_t kMostConfigBytes = 16 << 20;

enum class RowOrder { plain, rotary_pairs, fused_heads };

struct NamePair {
  const char *module, *gguf;
};

/// A family of models whose modules have the same names.
struct Family {
  const char* layers;            ///< what stands before the number of a layer
  std::vector<NamePair> inside;  ///< a layer
  std::vector<NamePair> outside;
};

const Family kLlama = {"model.layers.",
                       {{"self_attn.q_proj", "attn_q"},
                        {"self_attn.k_proj", "attn_k"},
                        {"self_attn.v_proj", "attn_v"},
                        {"self_attn.o_proj", "attn_output"},
                        {"mlp.gate_proj", "ffn_gate"},
                        {"mlp.up_proj", "ffn_up"},
                        {"mlp.down_proj", "ffn_down"}},
                       {{"model.embed_tokens", "token_embd"}, {"lm_head", "output"}}};
const Family kPhi3 = {"model.layers.",
                      {{"self_attn.qkv_proj", "attn_qkv"},
                       {"self_attn.o_proj", "attn_output"},
                       {"mlp.gate_up_proj", "ffn_up"},
                       {"mlp.down_proj", "ffn_down"}},
                      {{"model.embed_tokens", "token_embd"}, {"lm_head", "output"}}};
const Family kGpt2 = {
    "transformer.h.",
    {{"attn.c_attn", "attn_qkv"},
     {"attn.c_proj", "attn_output"},
     {"mlp.c_fc", "ffn_up"},
     {"mlp.c_proj", "ffn_down"}},
    {{"transformer.wte", "token_embd"}, {"transformer.wpe", "position_embd"}, {"lm_head", "output"}}};
const Family kNeox = {"gpt_neox.layers.",
                      {{"attention.query_key_value", "attn_qkv"},
                       {"attention.dense", "attn_output"},
                       {"mlp.dense_h_to_4h", "ffn_up"},
                       {"mlp.dense_4h_to_h", "ffn_down"}},
                      {{"gpt_neox.embed_in", "token_embd"}, {"embed_out", "output"}}};

/// model_type of config.json -> architecture and family.
struct Kind {
  const char *model_type, *architecture;
  const Family* family;
  RowOrder order;
};
const Kind kKinds[] = {
    {"llama", "llama", &kLlama, RowOrder::rotary_pairs},
    {"mistral", "llama", &kLlama, RowOrder::rotary_pairs},
    {"qwen2", "qwen2", &kLlama, RowOrder::plain},
    {"qwen3", "qwen3", &kLlama, RowOrder::plain},
    {"gemma", "gemma", &kLlama, RowOrder::plain},
    {"gemma2", "gemma2", &kLlama, RowOrder::plain},
    {"gemma3_text", "gemma3", &kLlama, RowOrder::plain},
    {"phi3", "phi3", &kPhi3, RowOrder::plain},
    {"gpt2", "gpt2", &kGpt2, RowOrder::plain},
    {"gpt_neox", "gptneox", &kNeox, RowOrder::fused_heads},
};

/// The first row of the table: families of one architecture agree.
const Kind& kind_of(const GgufBase& base) {
  for (const Kind& kind : kKinds) {
    if (base.architecture == kind.architecture) return kind;
  }
  throw Error(ExitCode::internal, cat("unknown architecture ", base.architecture));
}

/// Splits "PREFIX12.rest" into the number and the rest; false if it is of another form.
bool split_layer(const std::string& name, const std::string& prefix, std::string& number, std::string& rest) {
  if (!name.starts_with(prefix)) return false;
  const std::size_t end = name.find('.', prefix.size());
  if (end == std::string::npos) return false;
  number = name.substr(prefix.size(), end - prefix.size());
  rest = name.substr(end + 1);
  return !number.empty() && number.size() <= 6 &&
         std::all_of(number.begin(), number.end(), [](unsigned char c) { return std::isdigit(c); });
}

/// Heads whose rows the projection's B has in another order; 0 for none.
std::int64_t reordered_heads(const GgufBase& base, const std::string& gguf) {
  const auto ends = [&](const char* name) { return gguf.ends_with(name); };
  switch (kind_of(base).order) {
    case RowOrder::plain:
      return 0;
    case RowOrder::rotary_pairs:
      return ends(".attn_q") ? base.heads : ends(".attn_k") ? base.key_heads : 0;
    case RowOrder::fused_heads:
      return ends(".attn_qkv") ? base.heads : 0;
  }
  return 0;
}

at::Tensor reordered(const GgufBase& base, const std::string& gguf, const at::Tensor& B, bool forth) {
  const std::int64_t heads = reordered_heads(base, gguf);
  if (heads == 0) return B;
  const bool fused = kind_of(base).order == RowOrder::fused_heads;
  const std::int64_t parts = fused ? 3 : 2, r = B.size(1);
  if (B.size(0) % (heads * parts) != 0) {
    throw Error(ExitCode::mismatch,
                cat(gguf, " has ", B.size(0), " outputs, which ", heads, " heads do not divide"),
                "give the config.json of the adapter's base");
  }
  const std::int64_t rows = B.size(0) / heads / parts;
  // Rotary: [heads, 2, half] becomes [heads, half, 2]. Fused: [heads, 3, size] becomes [3, heads, size].
  const int first = fused ? 0 : 1, second = fused ? 1 : 2;
  std::vector<std::int64_t> shape{heads, parts, rows, r};
  if (!forth) std::swap(shape[static_cast<std::size_t>(first)], shape[static_cast<std::size_t>(second)]);
  return B.reshape(shape).transpose(first, second).reshape({B.size(0), r}).contiguous();
}

}  // namespace

GgufBase read_gguf_base(const std::filesystem::path& config_json) {
  const JsonOrigin origin{config_json.string(), ExitCode::file};
  const Json json = parse_json(read_file(config_json, kMostConfigBytes), origin);
  const std::string type = json_string(json_at(json, "model_type", origin), "model_type", origin);
  std::vector<std::string> known;
  for (const Kind& kind : kKinds) {
    known.emplace_back(kind.model_type);
    if (type != kind.model_type) continue;
    GgufBase base{kind.architecture};
    const char* heads = type == "gpt2" ? "n_head" : "num_attention_heads";
    base.heads = json_int(json_at(json, heads, origin), heads, origin);
    base.key_heads = json.contains("num_key_value_heads") && !json["num_key_value_heads"].is_null()
                         ? json_int(json["num_key_value_heads"], "num_key_value_heads", origin)
                         : base.heads;
    if (base.heads < 1 || base.key_heads < 1)
      throw Error(ExitCode::file, cat(origin.place, ": no attention heads"));
    return base;
  }
  throw Error(ExitCode::usage, cat("models of type \"", printable(type), "\" have no known names in GGUF"),
              cat("known are ", join(known, ", ")));
}

std::string gguf_name(const GgufBase& base, const std::string& module) {
  const Family& family = *kind_of(base).family;
  for (const NamePair& pair : family.outside) {
    if (module == pair.module) return pair.gguf;
  }
  std::string number, rest;
  if (!split_layer(module, family.layers, number, rest)) return {};
  for (const NamePair& pair : family.inside) {
    if (rest == pair.module) return cat("blk.", number, ".", pair.gguf);
  }
  return {};
}

std::string module_name(const GgufBase& base, const std::string& gguf) {
  const Family& family = *kind_of(base).family;
  for (const NamePair& pair : family.outside) {
    if (gguf == pair.gguf) return pair.module;
  }
  std::string number, rest;
  if (!split_layer(gguf, "blk.", number, rest)) return {};
  for (const NamePair& pair : family.inside) {
    if (rest == pair.gguf) return cat(family.layers, number, ".", pair.module);
  }
  return {};
}

at::Tensor to_gguf_rows(const GgufBase& base, const std::string& gguf, const at::Tensor& B) {
  return reordered(base, gguf, B, true);
}

at::Tensor from_gguf_rows(const GgufBase& base, const std::string& gguf, const at::Tensor& B) {
  return reordered(base, gguf, B, false);
}

}  // namespace lora
