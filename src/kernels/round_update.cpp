#include "lora/kernels/round_update.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

namespace lora {
namespace {

constexpr std::int64_t kChunk = 1 << 16;  ///< elements that are summed up together

/// To 16 bits through float32, as LibTorch converts.
template <class T>
T rounded(double exact) {
  if constexpr (std::is_same_v<T, double>) return exact;
  return static_cast<T>(static_cast<float>(exact));
}

template <class T>
RoundedUpdate round_chunk(const T* base, const double* exact, T* value, std::int64_t count) {
  RoundedUpdate sums;
  for (std::int64_t i = 0; i < count; ++i) {
    value[i] = rounded<T>(exact[i]);
    const double before = static_cast<double>(base[i]), after = static_cast<double>(value[i]);
    const double update = exact[i] - before, change = std::abs(after - before), lost = exact[i] - after;
    sums.largest_change = std::max(sums.largest_change, change);
    sums.updated += update != 0;
    sums.swallowed += update != 0 && change == 0;
    sums.update_square += update * update;
    sums.lost_square += lost * lost;
    sums.finite &= std::isfinite(after);
  }
  return sums;
}

}  // namespace

double RoundedUpdate::swallowed_share() const {
  return updated > 0 ? static_cast<double>(swallowed) / static_cast<double>(updated) : 0;
}

double RoundedUpdate::norm_lost() const {
  return update_square > 0 ? std::sqrt(lost_square / update_square) : 0;
}

RoundedUpdate& RoundedUpdate::operator+=(const RoundedUpdate& other) {
  largest_change = std::max(largest_change, other.largest_change);
  updated += other.updated;
  swallowed += other.swallowed;
  update_square += other.update_square;
  lost_square += other.lost_square;
  finite &= other.finite;
  return *this;
}

RoundedUpdate round_update(const at::Tensor& base, const at::Tensor& exact) {
  const at::NoGradGuard no_grad;
  const at::Tensor from = base.contiguous(), to = exact.contiguous();
  RoundedUpdate total;
  total.value = at::empty_like(from);
  const std::int64_t count = from.numel(), chunks = (count + kChunk - 1) / kChunk;
  std::vector<RoundedUpdate> parts(static_cast<std::size_t>(chunks));
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, from.scalar_type(), "round_update", [&] {
    const auto* before = from.const_data_ptr<scalar_t>();
    const auto* goal = to.const_data_ptr<double>();
    auto* value = total.value.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, chunks, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t chunk = first; chunk < last; ++chunk) {
        const std::int64_t begin = chunk * kChunk;
        parts[static_cast<std::size_t>(chunk)] =
            round_chunk(before + begin, goal + begin, value + begin, std::min(kChunk, count - begin));
      }
    });
  });
  for (const RoundedUpdate& part : parts) total += part;
  return total;
}

RoundedUpdate round_update_reference(const at::Tensor& base, const at::Tensor& exact) {
  const at::NoGradGuard no_grad;
  RoundedUpdate result;
  result.value = exact.to(base.scalar_type());
  const at::Tensor before = base.to(at::kDouble), after = result.value.to(at::kDouble);
  const at::Tensor update = exact - before, change = (after - before).abs(), has_update = update.ne(0);
  result.largest_change = change.max().item<double>();
  result.updated = has_update.sum().item<std::int64_t>();
  result.swallowed = has_update.logical_and(change.eq(0)).sum().item<std::int64_t>();
  result.update_square = update.square().sum().item<double>();
  result.lost_square = (exact - after).square().sum().item<double>();
  result.finite = at::isfinite(result.value).all().item<bool>();
  return result;
}

}  // namespace lora
