#include "train/product_counter.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <string_view>

#include "lora/kernels/attention.h"

namespace lora {
namespace {

/// A place in LibTorch's thread-local information, which backward passes on other threads inherit, that
/// nothing in LibTorch uses.
c10::DebugInfoKind slot() { return c10::DebugInfoKind::PRODUCER_INFO; }

/// Which inputs a matrix product multiplies; [.., n, k] times [.., k, m].
struct Gemm {
  std::string_view name;
  std::size_t left, right;
};

constexpr Gemm kGemms[] = {{"aten::mm", 0, 1},  {"aten::addmm", 1, 2},   {"aten::addmm_", 1, 2},
                           {"aten::bmm", 0, 1}, {"aten::baddbmm", 1, 2}, {"aten::baddbmm_", 1, 2},
                           {"aten::mv", 0, 1},  {"aten::addmv", 1, 2},   {"aten::addmv_", 1, 2}};

std::int64_t gemm_flops(const at::Tensor& left, const at::Tensor& right) {
  const std::int64_t columns = right.dim() > 1 ? right.size(-1) : 1;
  return 2 * left.numel() * columns;
}

/// Of `products` products over all scores of [batch, heads, queries, d] and [batch, .., keys, d].
std::int64_t attention_flops(const at::Tensor& q, const at::Tensor& k, bool causal, std::int64_t products) {
  const std::int64_t queries = q.size(2), keys = k.size(2);
  const std::int64_t triangle = std::min(queries, keys);
  const std::int64_t hidden = causal ? triangle * (triangle - 1) / 2 + (keys - triangle) * queries : 0;
  return products * 2 * q.size(0) * q.size(1) * q.size(3) * (queries * keys - hidden);
}

ProductCount products_of(const at::RecordFunction& call) {
  const std::string_view name = call.name();
  if (name == kRecordedProducts) return {0, call.inputs()[0].toInt()};
  if (!name.starts_with("aten::")) return {};
  const auto inputs = call.inputs();
  for (const Gemm& gemm : kGemms)
    if (name == gemm.name)
      return {gemm_flops(inputs[gemm.left].toTensor(), inputs[gemm.right].toTensor()), 0};
  if (name == "aten::_scaled_dot_product_flash_attention_for_cpu")
    return {0, attention_flops(inputs[0].toTensor(), inputs[1].toTensor(), inputs[4].toBool(), 2)};
  if (name == "aten::_scaled_dot_product_flash_attention_for_cpu_backward")
    return {0, attention_flops(inputs[1].toTensor(), inputs[2].toTensor(), inputs[7].toBool(), 5)};
  return {};
}

}  // namespace

ProductCount& ProductCount::operator+=(const ProductCount& other) {
  gemm += other.gemm;
  attention += other.attention;
  return *this;
}

ProductCount ProductCount::operator-(const ProductCount& other) const {
  return {gemm - other.gemm, attention - other.attention};
}

struct ProductCounter::Counter : c10::DebugInfoBase {
  explicit Counter(c10::DebugInfoBase* outer) : outer_(dynamic_cast<Counter*>(outer)) {}

  std::atomic<std::int64_t> gemm{0}, attention{0};

  void add(const ProductCount& products) {
    gemm += products.gemm;
    attention += products.attention;
    if (outer_) outer_->add(products);
  }

  static std::unique_ptr<at::ObserverContext> see(const at::RecordFunction& call) {
    const ProductCount products = products_of(call);
    auto* counter = static_cast<Counter*>(c10::ThreadLocalDebugInfo::get(slot()));
    if (!counter || products.sum() == 0) return nullptr;
    counter->add(products);
    return nullptr;
  }

 private:
  Counter* outer_;  ///< of the counter in whose life this one lies
};

ProductCounter::ProductCounter() {
  c10::DebugInfoBase* outer = c10::ThreadLocalDebugInfo::get(slot());
  counter_ = std::make_shared<Counter>(outer);
  guard_ = std::make_unique<c10::DebugInfoGuard>(slot(), counter_);
  if (!outer)
    callback_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback(&Counter::see).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

ProductCounter::~ProductCounter() {
  if (callback_) at::removeCallback(*callback_);
}

ProductCount ProductCounter::count() const { return {counter_->gemm, counter_->attention}; }

}  // namespace lora
