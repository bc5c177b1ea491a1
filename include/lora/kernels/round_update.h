#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lora {

/// A weight after an update, rounded once to its type, and what the rounding did.
struct RoundedUpdate {
  at::Tensor value;            ///< in the base's dtype
  double largest_change = 0;   ///< max |value - base|
  std::int64_t updated = 0;    ///< elements whose exact value differs from the base's
  std::int64_t swallowed = 0;  ///< of these: elements that kept the base's value
  double update_square = 0;    ///< sum of (exact - base)^2
  double lost_square = 0;      ///< sum of (exact - value)^2
  bool finite = true;

  double swallowed_share() const;  ///< of the updated elements
  double norm_lost() const;        ///< |exact - value| / |exact - base|, Frobenius; 0 if nothing is updated
  /// Adds the counts and sums of another weight; values stay.
  RoundedUpdate& operator+=(const RoundedUpdate& other);
};

/// `exact` float64, `base` of a floating-point type and the same shape, both on the CPU. Sums do not depend
/// on the number of threads. Equals round_update_reference.
RoundedUpdate round_update(const at::Tensor& base, const at::Tensor& exact);

/// The same by ATen, for any device.
RoundedUpdate round_update_reference(const at::Tensor& base, const at::Tensor& exact);

}  // namespace lora
