#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <string_view>
#include <vector>

#include "model/tracer.h"

namespace lora {

struct PlainPlaces {
  int left = 0;   ///< not rewritten
  int unfit = 0;  ///< rewritten, but the run's values did not fit
};

/// A pattern of operations that one operation of our own computes faster and with less memory. Patterns are
/// matched loosely, by data flow: Program compares the rewritten graph's logits with the plain one's before
/// it is used.
struct Rewrite {
  std::string name;
  int (*apply)(torch::jit::Graph& graph);  ///< replaces all it finds; returns how many
  /// What was done the plain way in a recorded run of the rewritten graph; null: not counted.
  PlainPlaces (*plain)(torch::jit::Graph& graph, const RecordedValues& values) = nullptr;
};

const std::vector<Rewrite>& all_rewrites();

/// The one that has a place only in graphs that end in front of the head.
inline constexpr std::string_view kRowsRewrite = "rows";

int rewrite_attention(torch::jit::Graph& graph);
PlainPlaces plain_attention(torch::jit::Graph& graph, const RecordedValues& values);
int rewrite_gelu(torch::jit::Graph& graph);
int rewrite_gated(torch::jit::Graph& graph);
int rewrite_rms_norm(torch::jit::Graph& graph);
int rewrite_rotary(torch::jit::Graph& graph);
int rewrite_rows(torch::jit::Graph& graph);
int rewrite_shared(torch::jit::Graph& graph);

}  // namespace lora
