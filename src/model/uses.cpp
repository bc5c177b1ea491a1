#include "model/uses.h"

#include <algorithm>

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Use;
using torch::jit::Value;

bool is_none(const Value* value) { return value->mustBeNone(); }

bool keeps_orientation(const Node* node) {
  return is_any(
      node, {"aten::to", "aten::detach", "aten::contiguous", "aten::type_as", "aten::alias", "aten::clone"});
}

/// Two-dimensional weights only: any transpose of them swaps the same two dimensions.
bool swaps_orientation(const Node* node) {
  return is_any(node, {"aten::t", "aten::numpy_T", "aten::transpose", "aten::permute", "aten::T"});
}

class UseFinder {
 public:
  std::vector<SiteUse> run(Value* weight) {
    follow(weight, false);
    return std::move(found_);
  }

 private:
  void follow(Value* value, bool transposed) {
    for (const Use& use : value->uses()) {
      Node* node = use.user;
      if (use.offset == 0 && keeps_orientation(node))
        follow(node->output(), transposed);
      else if (use.offset == 0 && swaps_orientation(node))
        follow(node->output(), !transposed);
      else
        take(node, use.offset, transposed);
    }
  }

  void take(Node* node, std::size_t slot, bool transposed) {
    const SiteKind straight = transposed ? SiteKind::conv1d : SiteKind::linear;  // the node multiplies by W^T
    const SiteKind swapped = transposed ? SiteKind::linear : SiteKind::conv1d;   // the node multiplies by W
    if (is_any(node, {"aten::linear"}) && slot == 1) {
      found_.push_back({node, straight, node->input(0), is_none(node->input(2)) ? nullptr : node->input(2)});
    } else if (is_any(node, {"aten::addmm"}) && slot == 2) {
      found_.push_back({node, swapped, node->input(1), node->input(0)});
    } else if (is_any(node, {"aten::matmul", "aten::mm"}) && slot == 1) {
      found_.push_back({node, swapped, node->input(0), nullptr});
    } else if (is_any(node, {"aten::embedding"}) && slot == 0 && !transposed) {
      found_.push_back({node, SiteKind::embedding, node->input(1), nullptr});
    }
  }

  std::vector<SiteUse> found_;
};

}  // namespace

bool is_any(const Node* node, std::initializer_list<std::string_view> names) {
  const std::string_view kind = node->kind().toQualString();
  return std::find(names.begin(), names.end(), kind) != names.end();
}

bool writes_in_place(const Node* node) {
  const std::string_view kind = node->kind().toQualString();
  return kind.starts_with("aten::") && kind.ends_with("_") && !kind.ends_with("__");
}

const Node* writer_of(const Value* value) {
  for (const torch::jit::Use& use : value->uses())
    if (use.offset == 0 && writes_in_place(use.user)) return use.user;
  return nullptr;
}

bool carries_tensors(const Value* value) {
  const auto& type = value->type();
  if (type->kind() == c10::TypeKind::TupleType) return true;
  if (const auto list = type->cast<c10::ListType>()) {
    return list->getElementType()->isSubtypeOf(*c10::OptionalType::ofTensor());
  }
  return type->isSubtypeOf(*c10::OptionalType::ofTensor());
}

std::vector<SiteUse> find_uses(Value* weight) { return UseFinder().run(weight); }

}  // namespace lora
