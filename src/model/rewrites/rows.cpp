#include <algorithm>
#include <limits>
#include <set>

#include "model/boundary.h"
#include "model/rewrites/pattern.h"
#include "model/rewrites/rewrite.h"
#include "model/uses.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

/// A slice of a whole dimension, which exports have in front of the head.
bool takes_all(const Node* slice) {
  const auto begin = torch::jit::constant_as<std::int64_t>(slice->inputs()[2]);
  const auto end = torch::jit::constant_as<std::int64_t>(slice->inputs()[3]);
  const auto step = torch::jit::constant_as<std::int64_t>(slice->inputs()[4]);
  return begin == 0 && end == std::numeric_limits<std::int64_t>::max() && step == 1;
}

/// Operations whose result in a row [.., d] needs that row of their operands alone, and what they ask of
/// shapes.
bool is_by_row(const Node* node) {
  if (is_any(node, {"aten::slice"})) return takes_all(node);
  return is_any(node, {"aten::linear",   "aten::addmm",        "lora::hook",       "lora::narrow_linear",
                       "lora::rms_norm", "lora::gated",        "aten::layer_norm", "aten::add",
                       "aten::sub",      "aten::mul",          "aten::div",        "aten::pow",
                       "aten::rsqrt",    "aten::silu",         "aten::gelu",       "aten::relu",
                       "aten::tanh",     "aten::sigmoid",      "aten::to",         "aten::type_as",
                       "aten::dropout",  "aten::contiguous",   "aten::view",       "aten::reshape",
                       "aten::size",     "prim::ListConstruct"});
}

/// The end of a language model's body that works on each position alone, made to work on the rows that the
/// head is going to see.
class RowsRewriter {
 public:
  RowsRewriter(torch::jit::Graph& graph, Node* flatten, Value* positions)
      : graph_(graph), flatten_(flatten), positions_(positions) {}

  bool run() {
    find_data();
    grow();
    while (shrink()) {
    }
    if (region_.empty()) return false;
    restate_shapes();
    select();
    return true;
  }

 private:
  /// Values that follow from the graph's ids and masks, and so may have a place for each position.
  void find_data() {
    for (Value* input : graph_.inputs())
      if (!input->uses().empty() && is_data_input(input)) data_.insert(input);
    for (Node* node : graph_.nodes())
      for (const Value* input : node->inputs())
        if (data_.count(input)) data_.insert(node->outputs().begin(), node->outputs().end());
  }

  /// Ids reach an embedding as its second operand; weights and hook tables are no data.
  static bool is_data_input(const Value* input) {
    return input->debugName() == kBoundaryInput || reaches_embedding(input);
  }

  static bool reaches_embedding(const Value* ids) {
    return std::any_of(ids->uses().begin(), ids->uses().end(), [](const torch::jit::Use& use) {
      if (is_any(use.user, {"aten::embedding"})) return use.offset == 1;
      const bool same = is_any(use.user, {"aten::view", "aten::reshape", "aten::to", "aten::contiguous"});
      return same && use.offset == 0 && reaches_embedding(use.user->output());
    });
  }

  bool is_inside(const Node* node) const { return node == flatten_ || region_.count(node); }

  /// Everything by row whose results go nowhere else.
  void grow() {
    for (Node* node : graph_.nodes().reverse()) {
      if (!is_by_row(node) || !data_.count(node->output())) continue;
      bool inside = true;
      for (const torch::jit::Use& use : node->output()->uses()) inside = inside && is_inside(use.user);
      if (inside) region_.insert(node);
    }
  }

  bool is_foreign_size(const Value* input) const {
    return data_.count(input) && !carries_tensors(input) && !is_inside(input->node());
  }

  /// The size of a last dimension.
  static bool is_width(const Value* size) {
    const Node* node = made_by(size, {"aten::size"});
    const auto dimension =
        node && node->inputs().size() == 2 ? constant_number(node->inputs()[1]) : std::nullopt;
    return dimension == -1.0 || dimension == 2.0;
  }

  /// The sizes [batch, time, d] of views, taken from elsewhere (GPT-2 takes those of the ids): rows have
  /// others.
  bool restates_shape(const Node* list) const {
    if (!is_any(list, {"prim::ListConstruct"}) || list->inputs().size() != 3) return false;
    const Value* last = list->inputs()[2];
    if ((is_foreign_size(last) && !is_width(last)) || constant_number(last) == -1.0) return false;
    return std::all_of(
        list->output()->uses().begin(), list->output()->uses().end(),
        [](const torch::jit::Use& use) { return is_any(use.user, {"aten::view", "aten::reshape"}); });
  }

  /// Their sizes of chosen rows: [1, n, d].
  void restate_shapes() {
    for (const Node* node : region_) {
      if (!restates_shape(node)) continue;
      auto* list = const_cast<Node*>(node);
      torch::jit::WithInsertPoint guard(list);
      list->replaceInput(0, graph_.insertConstant(1));
      list->replaceInput(1, graph_.insertConstant(-1));
    }
  }

  /// Takes out what asks for sizes from outside, or is used there; false if there was nothing.
  bool shrink() {
    std::set<const Node*> out;
    for (const Node* node : region_) {
      for (const Value* input : node->inputs())
        if (is_foreign_size(input) && !restates_shape(node)) out.insert(node);
      for (const torch::jit::Use& use : node->output()->uses())
        if (!is_inside(use.user)) out.insert(node);
    }
    for (const Node* node : out) region_.erase(node);
    return !out.empty();
  }

  /// Rows of what enters: [1, n, ..] of [batch, time, ..].
  void select() {
    std::set<Value*> entering;
    for (const Node* node : region_)
      for (Value* input : const_cast<Node*>(node)->inputs())
        if (data_.count(input) && !is_inside(input->node())) entering.insert(input);
    for (Value* value : entering) {
      torch::jit::WithInsertPoint guard(value->node()->next());
      Value* flat = graph_.insert(c10::aten::flatten, {value, 0, 1});
      Value* rows = graph_.insert(c10::aten::index_select, {flat, 0, positions_});
      Value* selected = graph_.insert(c10::aten::unsqueeze, {rows, 0});
      for (const torch::jit::Use& use : std::vector<torch::jit::Use>(value->uses()))
        if (use.user != flat->node() && is_inside(use.user)) use.user->replaceInput(use.offset, selected);
    }
    graph_.eraseOutput(0);
    graph_.registerOutput(flatten_->output());
  }

  torch::jit::Graph& graph_;
  Node* flatten_;
  Value* positions_;
  std::set<const Value*> data_;
  std::set<const Node*> region_;
};

}  // namespace

int rewrite_rows(torch::jit::Graph& graph) {
  Node* chosen = made_by(graph.outputs()[0], {"aten::index_select"});
  Node* flatten = chosen ? made_by(chosen->input(0), {"aten::flatten"}) : nullptr;
  return flatten && RowsRewriter(graph, flatten, chosen->input(2)).run();
}

}  // namespace lora
