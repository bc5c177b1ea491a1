#include "model/lowering.h"

#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/peephole.h>

#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace prim = c10::prim;
namespace aten = c10::aten;

constexpr const char* kExportHint =
    "export the model with scripts/export_model.py, or trace it with torch.jit.trace";

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ExitCode::file, cat("the model's forward cannot be lowered: ", what), kExportHint);
}

/// Two tensors with the same storage view are one weight: that is how tied weights come out of a file.
using TensorIdentity =
    std::tuple<const void*, std::vector<std::int64_t>, std::vector<std::int64_t>, at::ScalarType>;

TensorIdentity identity(const at::Tensor& tensor) {
  const void* address =
      tensor.numel() ? tensor.const_data_ptr() : static_cast<const void*>(tensor.unsafeGetTensorImpl());
  return {address, tensor.sizes().vec(), tensor.strides().vec(), tensor.scalar_type()};
}

/// Replaces the attribute reads of an inlined graph.
class AttributeLifter {
 public:
  AttributeLifter(const torch::jit::Module& module, Lowered& lowered) : lowered_(lowered) {
    for (const auto& parameter : module.named_parameters()) parameters_.insert(parameter.name);
    modules_[lowered.graph->inputs()[0]] = {"", module._ivalue()};
  }

  void run() {
    visit(lowered_.graph->block());
    for (auto node = dead_.rbegin(); node != dead_.rend(); ++node) (*node)->destroy();
    if (!lowered_.graph->inputs()[0]->uses().empty()) refuse("the module itself is passed to an operation");
    lowered_.graph->eraseInput(0);
  }

 private:
  struct ModuleAt {
    std::string path;
    c10::IValue object;
  };

  void visit(Block* block) {
    for (Node* node : block->nodes()) {
      if (node->kind() == prim::GetAttr)
        lift(node);
      else
        check(node);
      for (Block* inner : node->blocks()) visit(inner);
    }
  }

  static void check(const Node* node) {
    const std::string kind = node->kind().toQualString();
    for (const char* refused :
         {"prim::SetAttr", "prim::CallMethod", "prim::CallFunction", "prim::fork", "prim::PythonOp"}) {
      if (kind == refused) refuse(cat("it contains ", kind));
    }
  }

  void lift(Node* node) {
    const auto found = modules_.find(node->input());
    if (found == modules_.end())
      refuse(cat("attribute \"", node->s(c10::attr::name), "\" is read from a computed object"));
    const ModuleAt owner = found->second;
    const std::string name = node->s(c10::attr::name);
    const std::string path = owner.path.empty() ? name : cat(owner.path, ".", name);
    const c10::IValue value = owner.object.toObject()->getAttr(name);
    if (value.isTensor()) {
      node->output()->replaceAllUsesWith(input_for(path, value.toTensor()));
    } else if (value.isObject()) {
      modules_[node->output()] = {path, value};
    } else {
      torch::jit::WithInsertPoint guard(node);
      try {
        node->output()->replaceAllUsesWith(lowered_.graph->insertConstant(value));
      } catch (const std::exception&) {
        refuse(cat("attribute \"", path, "\" of type ", value.tagKind(), " is no constant"));
      }
    }
    dead_.push_back(node);
  }

  Value* input_for(const std::string& path, const at::Tensor& tensor) {
    if (const auto known = inputs_.find(path); known != inputs_.end()) return known->second;
    Value* input = lowered_.graph->addInput();
    input->setType(c10::TensorType::get());
    const auto [entry, is_new] = weights_.try_emplace(identity(tensor), lowered_.weights.size());
    if (is_new) {
      lowered_.weights.push_back({path, {}, tensor.detach(), parameters_.count(path) > 0});
    } else {
      lowered_.weights[entry->second].aliases.push_back(path);
    }
    lowered_.slots.push_back({path, entry->second});
    return inputs_[path] = input;
  }

  Lowered& lowered_;
  std::set<std::string> parameters_;
  std::unordered_map<Value*, ModuleAt> modules_;
  std::map<std::string, Value*> inputs_;
  std::map<TensorIdentity, std::size_t> weights_;
  std::vector<Node*> dead_;
};

/// ids, mask and token types by name, whatever the exact spelling; the first input is always the ids.
std::string standard_input(const std::string& name, std::size_t index) {
  if (index == 0) return "input_ids";
  if (name.find("token_type") != std::string::npos || name.find("segment") != std::string::npos)
    return "token_type_ids";
  if (name.find("mask") != std::string::npos) return "attention_mask";
  return "";
}

/// Keeps the inputs that a program can fill; others take their default. Optional tensors become plain ones.
void settle_inputs(Lowered& lowered, const c10::FunctionSchema& schema) {
  Graph& graph = *lowered.graph;
  torch::jit::WithInsertPoint guard(graph.block()->nodes().front());
  for (std::size_t argument = 1, index = 0; argument < schema.arguments().size(); ++argument) {
    const c10::Argument& declared = schema.arguments()[argument];
    Value* input = graph.inputs()[index];
    const std::string name = standard_input(declared.name(), argument - 1);
    const bool is_tensor = declared.type()->isSubtypeOf(*c10::OptionalType::ofTensor());
    if (!name.empty() && is_tensor) {
      input->setType(c10::TensorType::get());
      lowered.inputs.push_back(name);
      ++index;
      continue;
    }
    const bool optional = declared.type()->kind() == c10::TypeKind::OptionalType;
    if (!declared.default_value() && !optional && !input->uses().empty()) {
      refuse(cat("its input \"", declared.name(), "\" of type ", declared.type()->str(),
                 " is none of input_ids, attention_mask, token_type_ids and has no default"));
    }
    if (!input->uses().empty()) {
      const c10::IValue value = declared.default_value().value_or(c10::IValue());
      input->replaceAllUsesWith(graph.insertConstant(value));
    }
    graph.eraseInput(index);
  }
  if (lowered.inputs.empty()) refuse("forward takes no input");
}

/// The logits among the outputs: the tensor itself, the first of a tuple, the entry "logits" of a dictionary.
Value* find_logits(Value* output) {
  Node* node = output->node();
  if (node->kind() == prim::TupleConstruct && node->inputs().size() > 0) return find_logits(node->input(0));
  if (node->kind() == prim::DictConstruct) {
    for (std::size_t i = 0; i + 1 < node->inputs().size(); i += 2) {
      const auto key = torch::jit::toIValue(node->input(i));
      if (key && key->isString() && key->toStringRef() == "logits") return node->input(i + 1);
    }
  }
  return output;
}

void keep_logits_only(Graph& graph) {
  if (graph.outputs().size() != 1) refuse("it returns nothing");
  Value* logits = find_logits(graph.outputs()[0]);
  if (logits == graph.outputs()[0]) return;
  graph.eraseOutput(0);
  graph.registerOutput(logits);
}

/// Forgets the slots that nothing reads, and weights that then have no slot.
void drop_unused_slots(Lowered& lowered) {
  Graph& graph = *lowered.graph;
  std::vector<WeightSlot> slots;
  std::vector<Weight> weights;
  std::map<std::size_t, std::size_t> kept;
  for (std::size_t i = 0, index = lowered.inputs.size(); i < lowered.slots.size(); ++i) {
    if (graph.inputs()[index]->uses().empty()) {
      graph.eraseInput(index);
      continue;
    }
    ++index;
    const WeightSlot& slot = lowered.slots[i];
    const Weight& weight = lowered.weights[slot.weight];
    const auto [entry, is_new] = kept.try_emplace(slot.weight, weights.size());
    if (is_new) {
      weights.push_back({slot.path, {}, weight.value, weight.is_parameter});
    } else {
      weights[entry->second].aliases.push_back(slot.path);
    }
    slots.push_back({slot.path, entry->second});
  }
  lowered.slots = std::move(slots);
  lowered.weights = std::move(weights);
}

/// Parameters that forward does not read but that are tensors of weights it does read, as a head tied to the
/// embedding in a traced model: whoever replaces the weight has to replace them too.
void add_unread_aliases(const torch::jit::Module& module, Lowered& lowered) {
  std::map<TensorIdentity, Weight*> weight_of;
  std::set<std::string> read;
  for (Weight& weight : lowered.weights) weight_of[identity(weight.value)] = &weight;
  for (const WeightSlot& slot : lowered.slots) read.insert(slot.path);
  for (const auto& parameter : module.named_parameters()) {
    const auto found = weight_of.find(identity(parameter.value));
    if (found != weight_of.end() && !read.count(parameter.name))
      found->second->aliases.push_back(parameter.name);
  }
}

void refuse_frozen(const Lowered& lowered) {
  for (const Weight& weight : lowered.weights) {
    if (weight.is_parameter) return;
  }
  throw Error(ExitCode::file,
              "the model has no parameters: its weights are constants of the code (torch.jit.freeze?)",
              "save the module before freezing it, or export it with scripts/export_model.py");
}

torch::jit::Method method_of(const torch::jit::Module& module, const std::string& name) {
  const auto found = module.find_method(name);
  if (!found) refuse(cat("it has no method \"", name, "\""));
  return *found;
}

Lowered inlined(const torch::jit::Module& module, const torch::jit::Method& method) {
  Lowered lowered;
  lowered.functions = module._ivalue()->compilation_unit();
  lowered.graph = method.graph()->copy();
  torch::jit::Inline(*lowered.graph);
  AttributeLifter(module, lowered).run();
  refuse_frozen(lowered);
  return lowered;
}

/// Folds constants and forgets what nothing reads.
void tidy(const torch::jit::Module& module, Lowered& lowered) {
  torch::jit::EliminateDeadCode(lowered.graph);
  torch::jit::PeepholeOptimize(lowered.graph);
  torch::jit::ConstantPropagation(lowered.graph);
  torch::jit::EliminateDeadCode(lowered.graph);
  drop_unused_slots(lowered);
  add_unread_aliases(module, lowered);
  lowered.graph->lint();
}

}  // namespace

Lowered lower(const torch::jit::Module& module, const std::string& name) {
  const torch::jit::Method method = method_of(module, name);
  Lowered lowered = inlined(module, method);
  settle_inputs(lowered, method.function().getSchema());
  keep_logits_only(*lowered.graph);
  tidy(module, lowered);
  return lowered;
}

Lowered lower_method(const torch::jit::Module& module, const std::string& name,
                     const std::vector<std::string>& inputs, std::size_t outputs) {
  const torch::jit::Method method = method_of(module, name);
  Lowered lowered = inlined(module, method);
  lowered.inputs = inputs;
  Graph& graph = *lowered.graph;
  const auto unfit = [&] {
    refuse(cat("\"", name, "\" does not take ", join(inputs, ", "), " or return ", outputs, " tensors"));
  };
  if (method.function().getSchema().arguments().size() != inputs.size() + 1 || graph.outputs().size() != 1)
    unfit();
  if (outputs > 1) {
    Node* result = graph.outputs()[0]->node();
    if (result->kind() != prim::TupleConstruct || result->inputs().size() != outputs) unfit();
    graph.eraseOutput(0);
    for (Value* output : result->inputs()) graph.registerOutput(output);
  }
  tidy(module, lowered);
  return lowered;
}

}  // namespace lora
