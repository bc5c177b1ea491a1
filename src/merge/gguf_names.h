#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace lora {

/// What a base's config.json says that llama.cpp's names and layouts depend on.
struct GgufBase {
  std::string architecture;  ///< "llama", "qwen2" ...
  std::int64_t heads = 0, key_heads = 0;
};

/// usage error if the kind of model is not known here, naming those that are.
GgufBase read_gguf_base(const std::filesystem::path& config_json);

/// "blk.3.attn_q" of "model.layers.3.self_attn.q_proj" and back; empty if there is no such name.
std::string gguf_name(const GgufBase& base, const std::string& module);
std::string module_name(const GgufBase& base, const std::string& gguf);

/// B [out, r] with its rows in llama.cpp's order, or back: rotary halves interleaved for q and k of
/// llama-like models, query, key and value one after the other for GPT-NeoX's fused projection. The same B
/// elsewhere.
at::Tensor to_gguf_rows(const GgufBase& base, const std::string& gguf, const at::Tensor& B);
at::Tensor from_gguf_rows(const GgufBase& base, const std::string& gguf, const at::Tensor& B);

}  // namespace lora
