#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <mutex>
#include <unordered_map>

#include "model/uses.h"

namespace lora {

/// Weights in a narrower type, made when they are first used and kept for as long as the program. Threads may
/// ask for them at the same time.
class NarrowWeights {
 public:
  explicit NarrowWeights(at::ScalarType type) : type_(type) {}

  /// `weight` in the type; of a trained one anew each time, with its gradient.
  at::Tensor of(const at::Tensor& weight);

 private:
  struct Entry {
    at::Tensor weight, narrow;
    std::uint32_t version;
  };
  at::ScalarType type_;
  std::mutex mutex_;
  std::unordered_map<const at::TensorImpl*, Entry> known_;
};

/// W x + b, the product in the weight's type, the sum in x's; b may be undefined. weight [out, in].
at::Tensor linear_in_weight_type(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// A node whose output is `weight` in the narrow type of `table`, in front of everything.
torch::jit::Value* insert_narrowed(torch::jit::Value* weight, torch::jit::Value* table);

/// Lets a use of a linear site multiply in the type of `narrow`: the input is cast to it, the product back to
/// the input's type, the bias is added there. False if the use has another form.
bool narrow_use(SiteUse& use, torch::jit::Value* narrow);

/// Casts what an embedding gives to float32.
void widen_use(SiteUse& use);

}  // namespace lora
