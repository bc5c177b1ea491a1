#pragma once

#include <torch/csrc/jit/runtime/interpreter.h>

#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "model/lowering.h"
#include "model/segmented_code.h"
#include "model/sites.h"

namespace lora {

/// A copy of a lowered graph being rewritten. Its inputs are the lowered graph's, then the hook table, then
/// the row positions if rows are selected.
class GraphBuilder {
 public:
  GraphBuilder(const Lowered& lowered, const std::string& prefix);

  /// Gives the head chosen rows only (select_rows.h); false if the head was not found. Goes before hook(), so
  /// that a hook at the head sees the chosen rows.
  bool select_rows();

  /// Ends the graph with what enters the head at chosen rows [n, d], which a new input `positions` tells;
  /// false if the head was not found. Goes before hook().
  bool keep_body();

  /// Starts the graph with what enters the head: a new input `rows` [n, d]. The same conditions.
  bool keep_head();

  /// Ends the graph with, or starts it at, the activation that enters what is trained: the hooked sites
  /// `order` and the weights at `slots`; at the start it is a new input `boundary`. False if no layer lies
  /// below. Both go after keep_body() and before what follows.
  bool keep_below(const std::vector<std::size_t>& order, const std::set<std::string>& slots);
  bool keep_above(const std::vector<std::size_t>& order, const std::set<std::string>& slots);

  /// Products of linear sites in the narrow type of the hook table. Goes before hook().
  void narrow();

  /// The same where the weights themselves are in a narrower type.
  void multiply_in_weight_type();

  /// Puts hook number i at site number order[i] of locate_sites.
  void hook(const std::vector<HookedSite>& hooks, const std::vector<std::size_t>& order);

  /// Makes these rewrites (rewrites/rewrite.h), in the order in which they are listed there; the number of
  /// places of each. Goes last.
  std::vector<RewriteCount> rewrite(const std::vector<std::string>& names);

  const std::vector<LocatedSite>& located() const { return located_; }
  torch::jit::Graph& graph() { return *copy_.graph; }
  torch::jit::Code compile();

  /// The compiled graph in segments (segmented_code.h). file error if it cannot be cut. Goes after compile().
  SegmentedCode compile_segments() const;

 private:
  torch::jit::Value* weight_input(const std::string& slot) const;
  /// Parameters and the hook table.
  std::unordered_set<const torch::jit::Value*> weight_inputs() const;
  torch::jit::Value* find_boundary(const std::vector<std::size_t>& order,
                                   const std::set<std::string>& slots) const;

  Lowered copy_;
  std::vector<LocatedSite> located_;
  torch::jit::Value* table_;
  std::map<std::string, torch::jit::Value*> narrow_;  ///< weights in a narrower type, by path
};

}  // namespace lora
