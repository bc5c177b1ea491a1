#pragma once

#include <map>
#include <string>
#include <vector>

#include "lora/checkpoint/adapter_folder.h"

namespace lora {

/// What a plain low-rank adapter does to one module: dW [out, in] = scale B A, as PEFT stores it, whichever
/// way round the base stores its weight. For an embedding `in` are its rows and `out` its features.
struct ModuleUpdate {
  std::string module;
  MethodConfig config;
  bool embedding = false;
  at::Tensor A, B;  ///< [r, in], [out, r], as in the file

  double scale() const { return config.scale(); }
  std::int64_t in() const { return A.size(1); }
  std::int64_t out() const { return B.size(0); }
};

/// The folder's modules in the order of their paths. The folder's tensors were checked when it was read.
std::vector<ModuleUpdate> module_updates(const AdapterFolder& folder);

/// `folder` with these modules instead of its own; rank, alpha and targets of its config describe them.
/// Everything else stays.
AdapterFolder with_modules(AdapterFolder folder, const std::vector<ModuleUpdate>& updates);

/// The folder's tensors that are no low-rank factors, by PEFT key without its prefix.
std::map<std::string, at::Tensor> other_tensors(const AdapterFolder& folder);

}  // namespace lora
