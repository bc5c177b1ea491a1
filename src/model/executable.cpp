#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"
#include "model/archive.h"
#include "model/graph_builder.h"
#include "model/hook_op.h"
#include "model/method_graph.h"
#include "model/packed_inputs.h"
#include "model/program_impl.h"
#include "model/rewrites/rewrite.h"
#include "model/run_graph.h"

namespace lora {
namespace {

using Table = c10::intrusive_ptr<HookTable>;

constexpr double kTolerance = 1e-4;  ///< of logits, relative to the largest

/// Inputs, weights, hook table and what the cut in front of the head adds.
std::vector<c10::IValue> with_table(std::vector<c10::IValue> stack, const Table& table,
                                    const at::Tensor* added = nullptr) {
  stack.push_back(c10::IValue::make_capsule(table));
  if (added) stack.emplace_back(*added);
  return stack;
}

/// One run of rewritten code.
at::Tensor run_rewritten(const torch::jit::Code& code, std::vector<c10::IValue> stack, const Table& table,
                         const at::Tensor* added = nullptr) {
  return logits_of(run_graph(code, with_table(std::move(stack), table, added)));
}

/// A finished graph, whole and, if activations are checkpointed, in segments.
struct Compiled {
  torch::jit::Code code;
  std::optional<SegmentedCode> segments;
  std::shared_ptr<const Compiled> below, above;  ///< parts of it, if it has a boundary

  at::Tensor run(std::vector<c10::IValue> stack) const {
    if (segments && at::GradMode::is_enabled()) return segments->run(stack);
    return logits_of(run_graph(code, std::move(stack)));
  }

  /// From the boundary on, if that is known.
  at::Tensor run(std::vector<c10::IValue> stack, const at::Tensor& boundary) const {
    if (!above || !boundary.defined()) return run(std::move(stack));
    stack.emplace_back(boundary);
    return above->run(std::move(stack));
  }
};

bool are_close(const at::Tensor& found, const at::Tensor& expected) {
  return found.sizes() == expected.sizes() &&
         (found - expected).abs().max().item<double>() <= kTolerance * expected.abs().max().item<double>();
}

/// A cut in front of the head leaves the same logits at some positions of the probe, with these rewrites in
/// front of it. False if one of them has no place there.
bool split_agrees(const Program::Impl& program, const std::vector<std::string>& rewrites = {}) {
  GraphBuilder body(program.lowered, program.info.key_prefix), head(program.lowered, program.info.key_prefix);
  if (!body.keep_body() || !head.keep_head()) return false;
  if (body.rewrite(rewrites).size() != rewrites.size()) return false;
  const at::NoGradGuard no_grad;
  const auto table = c10::make_intrusive<HookTable>();
  const ModelInputs probe = program.probe_inputs();
  const at::Tensor positions = at::tensor({1, 3, 8}, at::dtype(at::kLong).device(program.device));
  const at::Tensor rows = run_rewritten(body.compile(), program.stack(probe), table, &positions);
  const at::Tensor chosen = run_rewritten(head.compile(), program.stack({}), table, &rows);
  return are_close(chosen, program.probe_logits().flatten(0, 1).index_select(0, positions));
}

}  // namespace

bool Program::Impl::can_split() const {
  if (split) return *split;
  split = fact("split at the head", [&] {
    try {
      return info.task == Task::language_model && split_agrees(*this);
    } catch (const std::exception& error) {
      log_debug("model", "the head computes every position: ", short_torch_message(error.what()));
      return false;
    }
  });
  return *split;
}

bool Program::Impl::can_select_rows(std::vector<std::string> names) const {
  if (!can_split()) return false;
  names.emplace_back(kRowsRewrite);
  try {
    return split_agrees(*this, names);
  } catch (const std::exception& error) {
    log_debug("model", "the last layer computes every position: ", short_torch_message(error.what()));
    return false;
  }
}

struct Executable::Impl {
  const Program::Impl* program;
  Table table;
  std::optional<Compiled> full;
  std::optional<Compiled> body, head;
  std::shared_ptr<const MethodGraph> packed;
  std::optional<Compiled> packed_body;

  const Compiled& body_for(const ModelInputs& inputs) const {
    return inputs.documents.empty() ? body.value() : packed_body.value();
  }

  std::vector<c10::IValue> body_stack(const ModelInputs& inputs, const at::Tensor& positions) const {
    return with_table(
        inputs.documents.empty() ? program->stack(inputs) : packed->stack(packed_inputs(inputs)), table,
        &positions);
  }
};

namespace {

/// What goes into a graph after it was cut.
struct Finish {
  const Program::Impl& program;
  const std::vector<HookedSite>& hooks;
  bool narrow = false, segments = false;

  Compiled operator()(GraphBuilder& builder, const std::vector<std::size_t>& order) const {
    if (program.keeps_narrow) builder.multiply_in_weight_type();
    if (narrow) builder.narrow();
    builder.hook(hooks, order);
    builder.rewrite(rewrites());
    Compiled compiled{builder.compile(), {}, {}, {}};
    if (segments) compiled.segments = builder.compile_segments();
    return compiled;
  }

  std::vector<std::string> rewrites() const {
    std::vector<std::string> names = program.usable_rewrite_names();
    const bool all_rows =
        std::any_of(hooks.begin(), hooks.end(), [](const auto& hook) { return hook.tells_rows; });
    if (all_rows) std::erase(names, kRowsRewrite);
    return names;
  }
};

/// Slots of weights that are trained whole.
std::set<std::string> trained_slots(const Program::Impl& program, const Lowered& lowered) {
  std::set<std::string> slots;
  for (const WeightSlot& slot : lowered.slots) {
    const auto known = program.weight_of_path.find(slot.path);
    if (known != program.weight_of_path.end() && program.lowered.weights[known->second].value.requires_grad())
      slots.insert(slot.path);
  }
  return slots;
}

/// Adds the parts below and above the boundary, if there is one, of the graph that `make` begins.
template <class Make>
void add_boundary(Compiled& compiled, const Make& make, const std::vector<std::size_t>& order,
                  const std::set<std::string>& slots, const Finish& finish) {
  GraphBuilder below = make();
  if (!below.keep_below(order, slots)) return;
  GraphBuilder above = make();
  above.keep_above(order, slots);
  compiled.above = std::make_shared<const Compiled>(finish(above, order));
  const std::vector<HookedSite> none;
  compiled.below = std::make_shared<const Compiled>(Finish{finish.program, none, finish.narrow}(below, {}));
}

std::vector<std::size_t> site_numbers(const std::vector<HookedSite>& hooks, const std::vector<Site>& sites) {
  std::vector<std::size_t> order;
  for (const HookedSite& hooked : hooks) {
    order.push_back(static_cast<std::size_t>(hooked.site - sites.data()));
    if (order.back() >= sites.size())
      throw Error(ExitCode::internal, "a hook names a site of another program");
  }
  return order;
}

/// The packed method with rewrites: its body in front of the head.
Compiled packed_code(const MethodGraph& packed, const Finish& finish) {
  const auto make = [&] {
    GraphBuilder builder(packed.lowered, finish.program.info.key_prefix);
    builder.keep_body();
    return builder;
  };
  GraphBuilder builder = make();
  const auto order = same_sites(finish.hooks, builder.located());
  Compiled compiled = finish(builder, order);
  if (finish.program.splits_at_boundary)
    add_boundary(compiled, make, order, trained_slots(finish.program, packed.lowered), finish);
  return compiled;
}

/// Two documents in one row give what they give apart.
bool packed_agrees(const Program::Impl& program, const MethodGraph& packed) {
  const auto table = c10::make_intrusive<HookTable>();
  const std::vector<HookedSite> none;
  const Compiled together = packed_code(packed, Finish{program, none});
  const ModelInputs probe = program.probe_inputs();
  const std::int64_t time = probe.input_ids.size(1), second = time - 3;
  const at::Tensor ids = at::cat({probe.input_ids[0], probe.input_ids[1].narrow(0, 0, second)}).unsqueeze(0);
  const ModelInputs documents{ids, {}, {}, {time, second}};
  const at::Tensor positions = at::tensor({std::int64_t{1}, time - 1, time, time + 2}, ids.options());
  GraphBuilder head(program.lowered, program.info.key_prefix);
  head.keep_head();
  const at::Tensor rows = together.run(with_table(packed.stack(packed_inputs(documents)), table, &positions));
  const at::Tensor found = run_rewritten(head.compile(), program.stack({}), table, &rows);
  return are_close(found, program.probe_logits().flatten(0, 1).index_select(0, positions));
}

bool skips_other_documents(const Program::Impl& program, const MethodGraph& packed) {
  GraphBuilder builder(packed.lowered, program.info.key_prefix);
  return !builder.rewrite({"attention"}).empty();
}

}  // namespace

std::shared_ptr<const MethodGraph> Program::Impl::usable_packed() const {
  if (packed) return *packed;
  packed.emplace(nullptr);
  const auto names = usable_rewrite_names();
  const bool has_method = std::find(info.methods.begin(), info.methods.end(), "packed") != info.methods.end();
  const bool attends = std::find(names.begin(), names.end(), "attention") != names.end();
  if (!has_method || !attends || !device.is_cpu() || !can_split()) return nullptr;
  try {
    const at::NoGradGuard no_grad;
    const auto graph = std::make_shared<const MethodGraph>(
        *this, "packed", std::vector<std::string>{"input_ids", "mask", "position_ids"}, 1);
    const bool agrees = fact(cat("packed with ", join(names, ",")), [&] {
      return skips_other_documents(*this, *graph) && packed_agrees(*this, *graph);
    });
    if (agrees) packed = graph;
  } catch (const std::exception& error) {
    log_debug("model", "\"packed\" cannot be used: ", short_torch_message(error.what()));
  }
  return *packed;
}

Executable Program::executable(std::vector<HookedSite> hooks) const {
  const auto order = site_numbers(hooks, impl_->sites);
  const auto builder = [&] { return GraphBuilder(impl_->lowered, impl_->info.key_prefix); };
  const auto slots = trained_slots(*impl_, impl_->lowered);
  auto impl = std::make_unique<Executable::Impl>();
  impl->program = impl_.get();
  GraphBuilder plain = builder();
  const bool segments = impl_->checkpoints_activations, splits = impl_->can_split();
  const Finish whole{*impl_, hooks, impl_->narrow != nullptr, false};
  const Finish trained{*impl_, hooks, impl_->narrow != nullptr, segments};
  impl->full = (splits ? whole : trained)(plain, order);
  if (splits) {
    const auto make = [&] {
      GraphBuilder body = builder();
      body.keep_body();
      return body;
    };
    GraphBuilder body = make(), head = builder();
    head.keep_head();
    impl->body = trained(body, order);
    impl->head = whole(head, order);
    if (impl_->splits_at_boundary) add_boundary(*impl->body, make, order, slots, trained);
  } else if (impl_->splits_at_boundary) {
    add_boundary(*impl->full, builder, order, slots, trained);
  }
  if (impl_->packed && (impl->packed = *impl_->packed))
    impl->packed_body = packed_code(*impl->packed, trained);
  impl->table = c10::make_intrusive<HookTable>(std::move(hooks), impl_->narrow);
  return Executable(std::move(impl));
}

Executable::Executable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executable::Executable(Executable&&) noexcept = default;
Executable::~Executable() = default;

at::Tensor Executable::logits(const ModelInputs& inputs) const {
  return impl_->full->run(with_table(impl_->program->stack(inputs), impl_->table), inputs.boundary);
}

at::Tensor Executable::logits_at(const ModelInputs& inputs, const at::Tensor& positions) const {
  if (impl_->body) return head(before_head(inputs, positions));
  return logits(inputs).flatten(0, 1).index_select(0, positions);
}

at::Tensor Executable::before_head(const ModelInputs& inputs, const at::Tensor& positions) const {
  return impl_->body_for(inputs).run(impl_->body_stack(inputs, positions), inputs.boundary);
}

at::Tensor Executable::boundary(const ModelInputs& inputs) const {
  if (!impl_->body) return impl_->full->below->run(with_table(impl_->program->stack(inputs), impl_->table));
  const at::Tensor no_positions = at::empty({0}, inputs.input_ids.options());
  return impl_->body_for(inputs).below->run(impl_->body_stack(inputs, no_positions));
}

bool Executable::has_boundary() const {
  if (!impl_->body) return impl_->full->below != nullptr;
  return impl_->body->below && (!impl_->packed_body || impl_->packed_body->below);
}

at::Tensor Executable::head(const at::Tensor& rows) const {
  return impl_->head.value().run(with_table(impl_->program->stack({}), impl_->table, &rows));
}

bool Executable::splits_at_head() const { return impl_->body.has_value(); }

bool Program::packs() const { return impl_->usable_packed() != nullptr; }

}  // namespace lora
