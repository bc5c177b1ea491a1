#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lora/adapter/adapter.h"

namespace lora {

/// Watches that every trained tensor of an adapter gets a gradient in the first updates: one that gets none
/// is not part of the loss, and training it is an illusion.
///
/// A factor whose partner is zero has no gradient, rightly: at the start of LoRA, B = 0 makes dL/dA = 0. It
/// is looked at again when the partner has moved. Rows of single tokens are not watched: their tokens come
/// when they come.
class GradientCheck {
 public:
  explicit GradientCheck(const Adapter& adapter);

  /// After update number `number` (from 0). diverged error that names the tensors without a gradient.
  void look(std::int64_t number);

  /// Whether every tensor has been seen with a gradient.
  bool is_done() const { return pending_.empty(); }

 private:
  struct Watched {
    std::string name;
    const at::Tensor* tensor;
    std::size_t group;      ///< tensors of one target
    bool was_zero = false;  ///< before the update
  };

  bool is_excused(const Watched& watched) const;
  void remember_zeros();

  std::vector<Watched> all_;
  std::vector<std::size_t> pending_;
};

}  // namespace lora
