#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "lora/model/program.h"

namespace lora {

/// Keys and values of the tokens that a CachedExecutable has seen: [2 layers, rows, heads, capacity, head
/// size], of which `length` tokens are filled.
struct KeyValueCache {
  at::Tensor storage;  ///< undefined before the first token
  std::int64_t length = 0;

  /// Row i continues what row rows[i] was: int64 [n].
  void select(const at::Tensor& rows);
};

/// New tokens after cached ones. Rows are left-padded, so that the last column holds every row's last token.
struct CachedInputs {
  at::Tensor input_ids;       ///< int64 [rows, new]
  at::Tensor attention_mask;  ///< int64 [rows, cached + new]: 0 for padding
  at::Tensor position_ids;    ///< int64 [rows, new]: tokens before it in its row
};

/// The `decode` method of a model file as a graph, with hooks in place, over its program's weights. The
/// program must outlive it.
class CachedExecutable {
 public:
  CachedExecutable(CachedExecutable&&) noexcept;
  CachedExecutable& operator=(CachedExecutable&&) noexcept;
  ~CachedExecutable();

  /// Logits [rows, vocabulary] after the last column; the new tokens are added to `cache`.
  at::Tensor next_logits(const CachedInputs& inputs, KeyValueCache& cache) const;

  /// True if keys and values are written to the cache where they belong; false if the graph copies the cache
  /// at each step.
  bool appends_in_place() const;

 private:
  friend class Program;
  struct Impl;
  explicit CachedExecutable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lora
