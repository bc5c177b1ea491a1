#include "model/rewrites/softmax_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "model/rewrites/pattern.h"
#include "model/uses.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

void run_unscored(torch::jit::Stack& stack) {
  const at::Tensor keys = torch::jit::pop(stack).toTensor(), queries = torch::jit::pop(stack).toTensor();
  std::vector<std::int64_t> sizes = queries.sizes().vec();
  sizes.back() = keys.size(-1);
  if (sizes.size() > 3) sizes[1] = 1;
  torch::jit::push(stack, at::zeros({}, queries.options()).expand(sizes));
}

/// Scores that are all zero, for every head once: [batch, 1, queries, keys], or without heads.
c10::Symbol unscored_symbol() {
  static const c10::Symbol operation =
      register_operation("lora::unscored(Tensor queries, Tensor transposed_keys) -> Tensor", run_unscored);
  return operation;
}

bool is_last_dimension(const Value* dim, double last) {
  const auto number = constant_number(dim);
  return number == -1.0 || number == last;
}

bool is_off(const Node* dropout) {
  const auto training = torch::jit::constant_as<bool>(dropout->inputs()[2]);
  return constant_number(dropout->inputs()[1]) == 0.0 || (training && !*training);
}

/// The weights of a softmax behind casts and dropout that does nothing.
Value* weights_of(Node* softmax) {
  Value* weights = softmax->output();
  for (;;) {
    Node* user = only_user(weights, {"aten::to", "aten::type_as", "aten::dropout"});
    if (!user || user->input(0) != weights) return weights;
    if (is_any(user, {"aten::dropout"}) && !is_off(user)) return weights;
    weights = user->output();
  }
}

/// Whether a use looks at the shape of scores alone, and at no number of heads.
bool asks_for_shape(const torch::jit::Use& use) {
  if (is_any(use.user, {"aten::ones_like", "aten::zeros_like", "aten::full_like", "aten::new_ones",
                        "aten::new_zeros", "aten::new_full", "prim::dtype", "prim::device"}))
    return use.offset == 0;
  if (!is_any(use.user, {"aten::size"}) || use.user->inputs().size() != 2) return false;
  const auto dim = constant_number(use.user->input(1));
  return dim == 0.0 || dim == -1.0 || dim == -2.0;
}

/// The way back from the input of a softmax to the product of queries and keys.
class Scores {
 public:
  explicit Scores(Value* masked) : end_(masked) {}

  /// False if something else lies on the way.
  bool walk() {
    Value* value = end_;
    for (;;) {
      Node* node = value->node();
      steps_.push_back(node);
      if (is_any(node, {"aten::matmul", "aten::bmm"})) break;
      value = before(node);
      if (!value) return false;
    }
    std::reverse(steps_.begin(), steps_.end());
    product_ = steps_.front();
    return has_no_other_use();
  }

  Node* product() const { return product_; }

  Value* scale() {
    torch::jit::Graph& graph = *product_->owningGraph();
    torch::jit::WithInsertPoint guard(end_->node()->next());
    if (!scale_) return graph.insertConstant(1.0);
    const auto factor = constant_number(scale_->input(1));
    const bool divides = is_any(scale_, {"aten::div"});
    if (factor) return graph.insertConstant(divides ? 1 / *factor : *factor);
    return divides ? graph.insert(c10::aten::div, {1.0, scale_->input(1)})
                   : graph.insert(c10::aten::mul, {1.0, scale_->input(1)});
  }

  /// What the steps behind the scaled scores add; null if there are none. Lets what asked for the scores'
  /// shape look at scores that are not computed.
  Value* mask() {
    Node* empty = insert_before(product_, unscored_symbol(), {product_->input(0), product_->input(1)});
    for (Node* step : steps_) {
      for (const torch::jit::Use& use : std::vector<torch::jit::Use>(step->output()->uses()))
        if (asks_for_shape(use)) use.user->replaceInput(use.offset, empty->output());
    }
    if (masks_ == 1)
      if (Value* added = added_mask(steps_.back())) return added;
    return masks_ == 0 ? nullptr : on_zeros(empty->output());
  }

 private:
  /// The input of a step through which the scores come; null if it is none.
  Value* before(Node* node) {
    if (is_any(node, {"aten::to", "aten::type_as"})) return node->input(0);
    if (is_any(node, {"aten::mul", "aten::div"})) return masked_or_scaled(node);
    if (scale_) return nullptr;  // a mask in front of the scale
    ++masks_;
    if (is_any(node, {"aten::masked_fill", "aten::sub"})) return node->input(0);
    if (is_any(node, {"aten::where"})) return node->inputs().size() == 3 ? node->input(1) : nullptr;
    if (!is_any(node, {"aten::add"})) return nullptr;
    return leads_to_product(node->input(0)) ? node->input(0) : node->input(1);
  }

  Value* masked_or_scaled(Node* node) {
    const Value* factor = node->input(1);
    const bool number = constant_number(factor) || factor->type()->isSubtypeOf(*c10::NumberType::get());
    if (scale_ || !number || node->inputs().size() != 2) return nullptr;
    scale_ = node;
    return node->input(0);
  }

  static bool leads_to_product(Value* value) {
    while (!made_by(value, {"aten::matmul", "aten::bmm"})) {
      Node* node = made_by(value, {"aten::to", "aten::type_as", "aten::mul", "aten::div", "aten::masked_fill",
                                   "aten::sub", "aten::add", "aten::where"});
      if (!node) return false;
      value = node->input(is_any(node, {"aten::where"}) ? 1 : 0);
    }
    return true;
  }

  bool has_no_other_use() const {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Value* value = steps_[i]->output();
      const Node* next = i + 1 < steps_.size() ? steps_[i + 1] : nullptr;
      int on_the_way = 0;
      for (const torch::jit::Use& use : value->uses()) {
        if (use.user == next || (!next && is_any(use.user, {"aten::softmax"})))
          ++on_the_way;
        else if (!asks_for_shape(use))
          return false;
      }
      if (on_the_way != 1) return false;
    }
    return true;
  }

  /// The mask of a single addition: layers that share it share its plan.
  static Value* added_mask(Node* node) {
    if (!is_any(node, {"aten::add"}) || constant_number(node->input(2)) != 1.0) return nullptr;
    Value* mask = leads_to_product(node->input(0)) ? node->input(1) : node->input(0);
    return mask->type()->isSubtypeOf(*c10::TensorType::get()) ? mask : nullptr;
  }

  /// The steps that mask, done to zeros.
  Value* on_zeros(Value* zeros) {
    Value* mask = zeros;
    for (std::size_t i = 1; i < steps_.size(); ++i) {
      Node* step = steps_[i];
      if (step == scale_ || is_any(step, {"aten::to", "aten::type_as"})) continue;
      const Value* scores = steps_[i - 1]->output();
      Node* copy = product_->owningGraph()->createClone(
          step, [&](Value* input) { return input == scores ? mask : input; });
      copy->insertAfter(step);
      mask = copy->output();
    }
    return mask;
  }

  Value* end_;
  Node* product_ = nullptr;
  Node* scale_ = nullptr;
  std::vector<Node*> steps_;  ///< from the product on
  int masks_ = 0;
};

}  // namespace

bool weighs_values(Node* softmax) {
  for (Value* weights = softmax->output();;) {
    Node* user = only_user(weights, {"aten::to", "aten::type_as", "aten::dropout", "aten::view",
                                     "aten::reshape", "aten::matmul", "aten::bmm"});
    if (!user || user->input(0) != weights) return false;
    if (is_any(user, {"aten::matmul", "aten::bmm"})) return true;
    weights = user->output();
  }
}

std::optional<SoftmaxAttention> match_softmax_attention(Node* softmax) {
  if (!is_last_dimension(softmax->input(1), 3)) return std::nullopt;
  Value* weights = weights_of(softmax);
  Node* result = only_user(weights, {"aten::matmul", "aten::bmm"});
  if (!result || result->input(0) != weights) return std::nullopt;
  Scores scores(softmax->input(0));
  if (!scores.walk()) return std::nullopt;
  SoftmaxAttention found;
  found.result = result;
  found.q = scores.product()->input(0);
  found.v = result->input(1);
  found.scale = scores.scale();
  found.mask = scores.mask();
  torch::jit::WithInsertPoint guard(result);
  Value* transposed = scores.product()->input(1);
  Node* transpose = made_by(transposed, {"aten::transpose"});
  const auto last_two = [&](std::size_t i) {
    const auto dim = constant_number(transpose->input(i));
    return dim == 2.0 || dim == 3.0 || dim == -1.0 || dim == -2.0;
  };
  found.k = transpose && last_two(1) && last_two(2)
                ? transpose->input(0)
                : result->owningGraph()->insert(c10::aten::transpose, {transposed, -2, -1});
  return found;
}

}  // namespace lora
