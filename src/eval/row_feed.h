#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "lora/model/cached_executable.h"
#include "lora/model/program.h"
#include "lora/tokenizer/tokenizer.h"

namespace lora {

/// Rows of tokens that grow, and what a model says comes next in each.
class RowFeed {
 public:
  virtual ~RowFeed() = default;

  /// Appends tokens to each row, the prompts first, and returns logits [rows, vocabulary], float32 on the
  /// CPU, after them.
  virtual at::Tensor feed(const std::vector<TokenIds>& added) = 0;

  /// Row i becomes what row rows[i] is; rows that are not among them are gone. Before the first tokens all
  /// rows are alike.
  virtual void select(const std::vector<std::int64_t>& rows) = 0;
};

/// With a cache of keys and values; `model` must outlive it.
std::unique_ptr<RowFeed> cached_feed(const CachedExecutable& model, at::Device device, std::int32_t pad);

/// Every row whole at each step; `model` must outlive it.
std::unique_ptr<RowFeed> recomputing_feed(const Executable& model, at::Device device, std::int32_t pad);

}  // namespace lora
