#include "model/cache_op.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <optional>

#include "model/rewrites/pattern.h"
#include "model/uses.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

constexpr std::int64_t kRows = 1, kTime = 3;  ///< dimensions of KeyValueCache::storage
constexpr std::int64_t kFirstCapacity = 64;

/// Room for `more` tokens.
void reserve(KeyValueCache& cache, std::int64_t more) {
  const std::int64_t capacity = cache.storage.size(kTime), needed = cache.length + more;
  if (needed <= capacity) return;
  std::vector<std::int64_t> sizes = cache.storage.sizes().vec();
  sizes[kTime] = std::max({needed, 2 * capacity, kFirstCapacity});
  const at::Tensor larger = at::empty(sizes, cache.storage.options());
  larger.narrow(kTime, 0, cache.length).copy_(cache.storage.narrow(kTime, 0, cache.length));
  cache.storage = larger;
}

void run_append(torch::jit::Stack& stack) {
  const at::Tensor added = torch::jit::pop(stack).toTensor();
  const std::int64_t index = torch::jit::pop(stack).toInt();
  const auto holder = torch::jit::pop(stack).toCapsule();
  KeyValueCache& cache = *static_cast<const CacheHolder&>(*holder).cache;
  const std::int64_t time = added.size(kTime - 1);
  if (index == 0) reserve(cache, time);
  const at::Tensor mine = cache.storage[index];
  mine.narrow(kTime - 1, cache.length, time).copy_(added);
  torch::jit::push(stack, mine.narrow(kTime - 1, 0, cache.length + time));
}

c10::Symbol append_symbol() {
  static const c10::Symbol symbol = [] {
    torch::jit::registerOperator(
        torch::jit::Operator("lora::append(Any cache, int index, Tensor added) -> Tensor",
                             torch::jit::Operation(run_append), c10::AliasAnalysisKind::CONSERVATIVE));
    return c10::Symbol::fromQualString("lora::append");
  }();
  return symbol;
}

bool is_empty_constant(const Value* value) {
  const auto tensor = torch::jit::constant_as<at::Tensor>(value);
  return tensor && tensor->numel() == 0;
}

/// The second of two concatenated tensors, beside the empty one that caches may begin with; null if it is not
/// that.
Value* added_part(Value* joined) {
  if (!is_any(joined->node(), {"aten::cat"})) return nullptr;
  auto parts = list_elements(joined->node()->input(0));
  std::erase_if(parts, is_empty_constant);
  const auto dim = torch::jit::constant_as<std::int64_t>(joined->node()->input(1));
  return parts.size() == 2 && (dim == -2 || dim == kTime - 1) ? parts[1] : nullptr;
}

}  // namespace

void KeyValueCache::select(const at::Tensor& rows) {
  std::vector<std::int64_t> sizes = storage.sizes().vec();
  sizes[kRows] = rows.size(0);
  const at::Tensor chosen = at::empty(sizes, storage.options());
  chosen.narrow(kTime, 0, length).copy_(storage.narrow(kTime, 0, length).index_select(kRows, rows));
  storage = chosen;
}

bool append_in_place(torch::jit::Graph& graph) {
  if (graph.outputs().size() != 2) return false;
  Node* stacked = graph.outputs()[1]->node();
  if (!is_any(stacked, {"aten::stack"}) || torch::jit::constant_as<std::int64_t>(stacked->input(1)) != 0)
    return false;
  const std::vector<Value*> joined = list_elements(stacked->input(0));
  if (joined.empty() || !std::all_of(joined.begin(), joined.end(), added_part)) return false;
  Value* cache = graph.addInput("cache");
  cache->setType(c10::AnyType::get());
  for (std::size_t i = 0; i < joined.size(); ++i) {
    torch::jit::WithInsertPoint guard(joined[i]->node());
    Node* append = graph.create(
        append_symbol(), {cache, graph.insertConstant(static_cast<std::int64_t>(i)), added_part(joined[i])});
    append->output()->setType(c10::TensorType::get());
    graph.insertNode(append);
    joined[i]->replaceAllUsesWith(append->output());
  }
  graph.eraseOutput(1);
  return true;
}

}  // namespace lora
