#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/interpreter.h>

#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

namespace lora {

/// A graph cut into segments that are computed again when the backward pass comes to them, so that between
/// the passes only what enters each is kept (Chen et al. 2016, arXiv:1604.06174). Gradients are bit-identical
/// to those of the whole graph, on one thread: the random generator starts each segment as it did before.
///
/// A cut lies where a single activation is alive; with two residual additions in a layer every second such
/// activation is taken. Masks, positions and sizes are computed once and kept.
class SegmentedCode {
 public:
  /// `weights`: graph inputs that are parameters or hook tables; other inputs are data. Nothing if the graph
  /// has control flow, operations in place, another output than one tensor, or no such place.
  static std::optional<SegmentedCode> cut(const std::shared_ptr<torch::jit::Graph>& graph,
                                          const std::unordered_set<const torch::jit::Value*>& weights);

  /// The graph's output for its inputs, with gradients.
  at::Tensor run(const std::vector<c10::IValue>& inputs) const;

  std::size_t size() const;

  struct Segment;

 private:
  std::shared_ptr<const std::vector<Segment>> segments_;
  std::size_t values_ = 0;  ///< numbers of values that segments exchange; the graph's inputs come first
};

}  // namespace lora
