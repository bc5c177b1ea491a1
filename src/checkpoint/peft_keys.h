#pragma once

#include <map>
#include <string>

#include "lora/adapter/method.h"
#include "lora/checkpoint/adapter_folder.h"

namespace lora {

/// What PEFT puts before every module path.
constexpr const char* kPeftPrefix = "base_model.model.";
/// DoRA's magnitudes, one for each row of B.
constexpr const char* kMagnitudeLeaf = "lora_magnitude_vector";

/// The tensors of an adapter file by what they are.
struct PeftTensors {
  std::map<std::string, SiteTensors> modules;    ///< low-rank factors: module path -> leaf name -> tensor
  std::map<std::string, at::Tensor> whole;       ///< trained whole: parameter path -> tensor
  std::map<std::string, at::Tensor> token_rows;  ///< trained rows of embeddings: module path -> values
  std::map<std::string, at::Tensor>
      embedding_copies;  ///< base embeddings that PEFT stores beside their adapters
};

/// Sorts tensors by their PEFT keys. file error naming keys without the prefix or of features that are not
/// supported.
PeftTensors split_keys(const std::map<std::string, at::Tensor>& tensors, const std::string& place);

/// Key of a module's factor, or of a parameter trained whole.
std::string factor_key(const std::string& module, const std::string& leaf);
std::string whole_key(const std::string& parameter);
/// Of a bias trained whole beside the factors of its module.
std::string adapted_bias_key(const std::string& module);
std::string token_rows_key(const std::string& module, bool alone);

/// The two factors of a module: A [r, in], B [out, r], also of an embedding.
struct Factors {
  const at::Tensor &A, &B;
};
/// file error if the tensors are no complete pair of matrices of the configured rank and, with DoRA, its
/// magnitudes; or if the trained rows of an embedding are not those of trainable_token_indices.
void check_factors(const PeftTensors& tensors, const PeftConfig& config, const std::string& place);
Factors factors_of(const SiteTensors& tensors);

}  // namespace lora
