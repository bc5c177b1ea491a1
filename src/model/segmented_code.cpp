#include "model/segmented_code.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <unordered_map>

#include "model/hook_op.h"
#include "model/run_graph.h"
#include "model/uses.h"
#include "model/value_kinds.h"

namespace lora {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

struct SegmentedCode::Segment {
  torch::jit::Code once;                          ///< activation and `kept` values from `inputs`
  torch::jit::Code again;                         ///< the activation from `again_inputs`
  std::vector<std::size_t> inputs, again_inputs;  ///< numbers of values
  std::size_t activation;
  std::vector<std::size_t> kept;
  std::optional<std::size_t> enters;  ///< number of the activation it begins with
  bool has_hooks;
};

namespace {

constexpr std::size_t kResidualsPerLayer = 2;

/// One graph of a segment being written.
class Writer {
 public:
  explicit Writer(const ValueKinds& kinds) : kinds_(kinds), graph_(std::make_shared<Graph>()) {}

  void add(const Node* node) {
    Node* copy = graph_->createClone(const_cast<Node*>(node), [&](Value* value) { return inner(value); });
    graph_->appendNode(copy);
    for (std::size_t i = 0; i < node->outputs().size(); ++i) known_[node->outputs()[i]] = copy->outputs()[i];
  }

  Value* inner(const Value* value) {
    if (const auto found = known_.find(value); found != known_.end()) return found->second;
    const bool made_here = kinds_[value] == ValueKind::constant ||
                           (kinds_[value] == ValueKind::weight && value->node()->kind() != c10::prim::Param);
    if (made_here) {
      add(value->node());
      return known_.at(value);
    }
    Value* input = graph_->addInput();
    input->setType(value->type());
    outside_.push_back(value);
    return known_[value] = input;
  }

  bool knows(const Value* value) const { return known_.count(value) > 0; }

  torch::jit::Code compile(const std::vector<const Value*>& outputs) {
    for (const Value* output : outputs) graph_->registerOutput(inner(output));
    graph_->lint();
    return torch::jit::Code(graph_, "segment");
  }

  const std::vector<const Value*>& outside() const { return outside_; }

 private:
  const ValueKinds& kinds_;
  std::shared_ptr<Graph> graph_;
  std::unordered_map<const Value*, Value*> known_;
  std::vector<const Value*> outside_;  ///< in the order of the graph's inputs
};

class Cutter {
 public:
  Cutter(const Graph& graph, const std::unordered_set<const Value*>& weights)
      : graph_(graph), kinds_(graph, weights) {
    for (const Value* input : graph.inputs()) number(input);
    for (const Node* node : graph.nodes()) nodes_.push_back(node);
  }

  std::vector<SegmentedCode::Segment> cut() {
    std::vector<SegmentedCode::Segment> segments;
    std::size_t begin = 0;
    for (const auto& [end, activation] : ends()) {
      segments.push_back(segment(begin, end, activation));
      begin = end;
    }
    return segments;
  }

  std::size_t value_count() const { return numbers_.size(); }

 private:
  std::size_t number(const Value* value) { return numbers_.emplace(value, numbers_.size()).first->second; }

  /// Where segments end.
  std::vector<ActivationCut> ends() {
    const std::vector<ActivationCut> single = single_activations(graph_, kinds_);
    std::vector<ActivationCut> chosen;
    for (std::size_t i = 0; i + 1 < single.size(); i += kResidualsPerLayer) chosen.push_back(single[i]);
    chosen.push_back({nodes_.size(), graph_.outputs()[0]});
    return chosen;
  }

  bool is_used_from(const Value* value, std::size_t end) const {
    return std::any_of(
        nodes_.begin() + static_cast<std::ptrdiff_t>(end), nodes_.end(), [&](const Node* node) {
          return std::find(node->inputs().begin(), node->inputs().end(), value) != node->inputs().end();
        });
  }

  std::vector<std::size_t> numbers_of(const std::vector<const Value*>& values) {
    std::vector<std::size_t> numbers;
    for (const Value* value : values) numbers.push_back(number(value));
    return numbers;
  }

  SegmentedCode::Segment segment(std::size_t begin, std::size_t end, const Value* activation) {
    Writer once(kinds_), again(kinds_);
    bool hooks = false;
    for (std::size_t i = begin; i < end; ++i) {
      if (kinds_.is(nodes_[i], ValueKind::constant) || kinds_.is(nodes_[i], ValueKind::weight)) continue;
      once.add(nodes_[i]);
      if (kinds_.is(nodes_[i], ValueKind::activation)) again.add(nodes_[i]);
      hooks |= runs_hooks(nodes_[i]);
    }
    torch::jit::Code again_code = again.compile({activation});
    std::vector<const Value*> kept;
    for (std::size_t i = begin; i < end; ++i)
      for (const Value* made : nodes_[i]->outputs())
        if (kinds_[made] == ValueKind::plain && (again.knows(made) || is_used_from(made, end)))
          kept.push_back(made);
    std::vector<const Value*> outputs = {activation};
    outputs.insert(outputs.end(), kept.begin(), kept.end());
    torch::jit::Code once_code = once.compile(outputs);
    std::optional<std::size_t> enters;
    for (const Value* value : again.outside())
      if (kinds_[value] == ValueKind::activation) enters = number(value);
    return {std::move(once_code),
            std::move(again_code),
            numbers_of(once.outside()),
            numbers_of(again.outside()),
            number(activation),
            numbers_of(kept),
            enters,
            hooks};
  }

  const Graph& graph_;
  ValueKinds kinds_;
  std::vector<const Node*> nodes_;
  std::unordered_map<const Value*, std::size_t> numbers_;
};

using Values = std::vector<c10::IValue>;

Values picked(const Values& values, const std::vector<std::size_t>& numbers) {
  Values some;
  for (const std::size_t number : numbers) some.push_back(values[number]);
  return some;
}

/// What a segment needs when it is computed again.
struct Pass : torch::CustomClassHolder {
  Pass(std::shared_ptr<const std::vector<SegmentedCode::Segment>> all, const SegmentedCode::Segment& one,
       Values& run_values)
      : owner(std::move(all)), segment(one), values(run_values) {}
  std::shared_ptr<const std::vector<SegmentedCode::Segment>> owner;
  const SegmentedCode::Segment& segment;
  Values& values;       ///< of the run, while it goes on
  Values again_inputs;  ///< the entering activation left out
  at::Tensor generator_state;
};

at::Generator generator_of(const at::Tensor& tensor) {
  return at::globalContext().defaultGenerator(tensor.device());
}

/// Computes a segment; the values it gives go into `values`.
at::Tensor compute(const SegmentedCode::Segment& segment, Values& values) {
  Values outputs = run_code(segment.once, picked(values, segment.inputs));
  for (std::size_t i = 0; i < segment.kept.size(); ++i) values[segment.kept[i]] = outputs[i + 1];
  return outputs[0].toTensor();
}

struct Recomputed : torch::autograd::Function<Recomputed> {
  /// `entering` is looked at if the segment has such an activation. `anchor` requires gradients, so that the
  /// result does although no input may.
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& entering,
                            const at::Tensor& anchor, const c10::intrusive_ptr<Pass>& pass) {
    pass->generator_state = generator_of(entering).get_state();
    at::Tensor activation = compute(pass->segment, pass->values);
    for (const std::size_t number : pass->segment.again_inputs)
      pass->again_inputs.push_back(number == pass->segment.enters ? c10::IValue() : pass->values[number]);
    context->save_for_backward({entering});
    context->saved_data["trained"] = entering.requires_grad();
    context->saved_data["pass"] = c10::IValue::make_capsule(pass);
    return activation;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const at::AutoGradMode with_gradients(true);
    const auto holder = context->saved_data["pass"].toCapsule();
    const auto& pass = static_cast<const Pass&>(*holder);
    const at::Tensor entering = context->get_saved_variables()[0].detach();
    entering.set_requires_grad(context->saved_data["trained"].toBool());
    Values inputs = pass.again_inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (pass.segment.again_inputs[i] == pass.segment.enters) inputs[i] = entering;
    at::Generator generator = generator_of(entering);
    const at::Tensor now = generator.get_state();
    generator.set_state(pass.generator_state);
    const at::Tensor activation = run_code(pass.segment.again, std::move(inputs))[0].toTensor();
    generator.set_state(now);
    torch::autograd::backward({activation}, {upstream[0]});
    return {entering.grad(), at::Tensor(), at::Tensor()};
  }
};

/// Whether gradients go through a segment for these values.
bool is_trained(const SegmentedCode::Segment& segment, const Values& inputs) {
  return segment.has_hooks || std::any_of(inputs.begin(), inputs.end(), [](const c10::IValue& value) {
           return value.isTensor() && value.toTensor().requires_grad();
         });
}

}  // namespace

std::optional<SegmentedCode> SegmentedCode::cut(const std::shared_ptr<Graph>& graph,
                                                const std::unordered_set<const Value*>& weights) {
  // What enters a segment would not be there any more if something wrote to it.
  for (const Node* node : graph->nodes())
    if (!node->blocks().empty() || writes_in_place(node)) return std::nullopt;
  if (graph->outputs().size() != 1 || !graph->outputs()[0]->type()->isSubtypeOf(*c10::TensorType::get()))
    return std::nullopt;
  Cutter cutter(*graph, weights);
  SegmentedCode code;
  code.segments_ = std::make_shared<const std::vector<Segment>>(cutter.cut());
  code.values_ = cutter.value_count();
  return code.size() < 2 ? std::nullopt : std::optional(code);
}

at::Tensor SegmentedCode::run(const Values& inputs) const {
  Values values = inputs;
  values.resize(values_);
  for (const Segment& segment : *segments_) {
    if (!is_trained(segment, picked(values, segment.again_inputs))) {
      values[segment.activation] = compute(segment, values);
      continue;
    }
    const auto pass = c10::make_intrusive<Pass>(segments_, segment, values);
    const at::Tensor anchor = at::empty({0}).set_requires_grad(true);
    const at::Tensor entering = segment.enters ? values[*segment.enters].toTensor() : anchor.detach();
    values[segment.activation] = Recomputed::apply(entering, anchor, pass);
    if (segment.enters) values[*segment.enters] = c10::IValue();
  }
  return values[segments_->back().activation].toTensor();
}

std::size_t SegmentedCode::size() const { return segments_->size(); }

}  // namespace lora
