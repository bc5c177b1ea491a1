#pragma once

#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstdint>
#include <memory>
#include <optional>

namespace lora {

/// Floating-point operations of products, a multiplication and an addition being two.
struct ProductCount {
  std::int64_t gemm = 0;       ///< of matrix products
  std::int64_t attention = 0;  ///< within fused attention: two products a forward pass, five a backward pass

  std::int64_t sum() const { return gemm + attention; }
  ProductCount& operator+=(const ProductCount& other);
  ProductCount operator-(const ProductCount& other) const;
};

/// Counts the products that the current thread computes while it lives, by the shapes of LibTorch's calls:
/// mm, addmm, bmm, baddbmm, mv, addmv, and flash attention, and by what our own tells; masked scores of a
/// causal block are not counted. Convolutions are not counted. Counters may be nested; each counts what
/// happens in its life, on its thread and on those that inherit the thread's state for LibTorch.
class ProductCounter {
 public:
  ProductCounter();
  ~ProductCounter();
  ProductCounter(const ProductCounter&) = delete;
  ProductCounter& operator=(const ProductCounter&) = delete;

  ProductCount count() const;

 private:
  struct Counter;
  std::shared_ptr<Counter> counter_;
  std::unique_ptr<c10::DebugInfoGuard> guard_;
  std::optional<at::CallbackHandle> callback_;  ///< of the outermost, which serves all
};

}  // namespace lora
