#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/custom_class.h>

#include "lora/model/cached_executable.h"

namespace lora {

/// A cache for the time of one run, handed to the graph as an input.
struct CacheHolder : torch::CustomClassHolder {
  explicit CacheHolder(KeyValueCache& filled) : cache(&filled) {}
  KeyValueCache* cache;
};

/// In a lowered `decode`, whose second output stacks every layer's cat([cached, new]): lets each be
/// `lora::append(cache, index, new)`, which writes `new` behind the cached tokens and returns a view of both,
/// and drops the second output. `cache` becomes a new last input. False, and nothing is changed, if the graph
/// looks otherwise.
bool append_in_place(torch::jit::Graph& graph);

}  // namespace lora
