#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lora {

/// Principal components of rows that come in batches, without keeping them: each batch is joined to the
/// components so far, weighted by their singular values, and to a row that corrects the mean. Ross et al.
/// 2008, "Incremental learning for robust visual tracking", as scikit-learn's IncrementalPCA; the SVDs are
/// randomised ones.
class IncrementalPca {
 public:
  IncrementalPca(std::int64_t components, std::uint64_t seed);

  /// Rows [n, features] of float32.
  void add(const at::Tensor& rows);

  std::int64_t rows_seen() const { return count_; }
  /// float32 [k, features], orthonormal rows in falling order; k is smaller if fewer rows were seen.
  const at::Tensor& components() const { return components_; }
  /// float64 [k]: share of the total variance that lies along each of them.
  at::Tensor explained_ratio() const;

 private:
  std::int64_t wanted_, count_ = 0;
  at::Generator generator_;
  at::Tensor components_, singular_values_, mean_;
  double square_sum_ = 0;  ///< of the centred rows
};

}  // namespace lora
