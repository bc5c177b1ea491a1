#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <string>
#include <vector>

#include "lora/model/program.h"

namespace lora {

/// One weight attribute that the graph reads: its path and the weight (tied paths share one).
struct WeightSlot {
  std::string path;
  std::size_t weight;
};

/// A method as one straight graph. Graph inputs: the method's inputs (self removed), then one per slot. The
/// graph's only output is the logits tensor where it can be told apart, else what the method returns.
struct Lowered {
  std::shared_ptr<torch::jit::Graph> graph;
  std::vector<std::string> inputs;  ///< names of the method's inputs that the graph still has, in order
  std::vector<WeightSlot> slots;
  std::vector<Weight> weights;
  /// Nodes point to the functions that they were inlined from; the interpreter reads those when it reports an
  /// error.
  std::shared_ptr<torch::jit::CompilationUnit> functions;
};

/// Inlines `method`, turns every tensor attribute into an input and every other attribute into a constant,
/// folds constants, and keeps only the inputs that a program can fill (ids, mask, token types). file error
/// naming the path or node for what cannot be lowered: SetAttr, calls, forks, Python operators, weights
/// frozen into constants.
Lowered lower(const torch::jit::Module& module, const std::string& method);

/// The same for another method that takes `inputs` and returns a tensor or a tuple of `outputs` tensors, all
/// of which the graph keeps.
Lowered lower_method(const torch::jit::Module& module, const std::string& method,
                     const std::vector<std::string>& inputs, std::size_t outputs);

}  // namespace lora
