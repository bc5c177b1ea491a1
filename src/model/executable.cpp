#include <ATen/ATen.h>

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"
#include "model/archive.h"
#include "model/graph_builder.h"
#include "model/hook_op.h"
#include "model/method_graph.h"
#include "model/packed_inputs.h"
#include "model/program_impl.h"
#include "model/run_graph.h"

namespace lora {
namespace {

using Table = c10::intrusive_ptr<HookTable>;

constexpr double kTolerance = 1e-4;  ///< of logits, relative to the largest

/// One run of rewritten code: inputs, weights, hook table and what the cut adds.
at::Tensor run_rewritten(const torch::jit::Code& code, std::vector<c10::IValue> stack, const Table& table,
                         const at::Tensor* added = nullptr) {
  stack.push_back(c10::IValue::make_capsule(table));
  if (added) stack.emplace_back(*added);
  return logits_of(run_graph(code, std::move(stack)));
}

bool are_close(const at::Tensor& found, const at::Tensor& expected) {
  return found.sizes() == expected.sizes() &&
         (found - expected).abs().max().item<double>() <= kTolerance * expected.abs().max().item<double>();
}

/// A cut in front of the head leaves the same logits at some positions of the probe.
bool split_agrees(const Program::Impl& program) {
  GraphBuilder body(program.lowered, program.info.key_prefix), head(program.lowered, program.info.key_prefix);
  if (!body.keep_body() || !head.keep_head()) return false;
  const at::NoGradGuard no_grad;
  const auto table = c10::make_intrusive<HookTable>(std::vector<SiteHook>{});
  const ModelInputs probe = program.probe_inputs();
  const at::Tensor positions = at::tensor({1, 3, 8}, at::dtype(at::kLong).device(program.device));
  const at::Tensor rows = run_rewritten(body.compile(), program.stack(probe), table, &positions);
  const at::Tensor chosen = run_rewritten(head.compile(), program.stack({}), table, &rows);
  return are_close(chosen, program.probe_logits().flatten(0, 1).index_select(0, positions));
}

}  // namespace

bool Program::Impl::can_split() const {
  if (!split) {
    try {
      split = info.task == Task::language_model && split_agrees(*this);
    } catch (const std::exception& error) {
      log_debug("model", "the head computes every position: ", short_torch_message(error.what()));
      split = false;
    }
  }
  return *split;
}

struct Executable::Impl {
  const Program::Impl* program;
  Table table;
  torch::jit::Code full;
  std::optional<torch::jit::Code> body, head;
  std::shared_ptr<const MethodGraph> packed;
  std::optional<torch::jit::Code> packed_body;
};

namespace {

/// Precision, hooks and rewrites go in after the cut.
torch::jit::Code finish(GraphBuilder& builder, const std::vector<HookedSite>& hooks,
                        const std::vector<std::size_t>& order, const Program::Impl& program, bool narrow) {
  if (narrow) builder.narrow();
  builder.hook(hooks, order);
  builder.rewrite(program.usable_rewrite_names());
  return builder.compile();
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
torch::jit::Code packed_code(const MethodGraph& packed, const std::vector<HookedSite>& hooks,
                             const Program::Impl& program, bool narrow) {
  GraphBuilder builder(packed.lowered, program.info.key_prefix);
  builder.keep_body();
  return finish(builder, hooks, same_sites(hooks, builder.located()), program, narrow);
}

/// Two documents in one row give what they give apart.
bool packed_agrees(const Program::Impl& program, const MethodGraph& packed) {
  const auto table = c10::make_intrusive<HookTable>(std::vector<SiteHook>{});
  const torch::jit::Code together = packed_code(packed, {}, program, /*narrow=*/false);
  const ModelInputs probe = program.probe_inputs();
  const std::int64_t time = probe.input_ids.size(1), second = time - 3;
  const at::Tensor ids = at::cat({probe.input_ids[0], probe.input_ids[1].narrow(0, 0, second)}).unsqueeze(0);
  const ModelInputs documents{ids, {}, {}, {time, second}};
  const at::Tensor positions = at::arange(time + second, ids.options());
  GraphBuilder head(program.lowered, program.info.key_prefix);
  head.keep_head();
  const at::Tensor rows = run_rewritten(together, packed.stack(packed_inputs(documents)), table, &positions);
  const at::Tensor found = run_rewritten(head.compile(), program.stack({}), table, &rows);
  return are_close(found, program.probe_logits().flatten(0, 1).narrow(0, 0, time + second));
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
    if (skips_other_documents(*this, *graph) && packed_agrees(*this, *graph)) packed = graph;
  } catch (const std::exception& error) {
    log_debug("model", "\"packed\" cannot be used: ", short_torch_message(error.what()));
  }
  return *packed;
}

Executable Program::executable(std::vector<HookedSite> hooks) const {
  const auto order = site_numbers(hooks, impl_->sites);
  const bool narrow = impl_->narrow != nullptr;
  const auto builder = [&] { return GraphBuilder(impl_->lowered, impl_->info.key_prefix); };
  auto impl = std::make_unique<Executable::Impl>();
  impl->program = impl_.get();
  GraphBuilder plain = builder();
  impl->full = finish(plain, hooks, order, *impl_, narrow);
  if (impl_->can_split()) {
    GraphBuilder body = builder(), head = builder();
    body.keep_body();
    head.keep_head();
    impl->body = finish(body, hooks, order, *impl_, narrow);
    impl->head = finish(head, hooks, order, *impl_, narrow);
  }
  if (impl_->packed && (impl->packed = *impl_->packed))
    impl->packed_body = packed_code(*impl->packed, hooks, *impl_, narrow);
  std::vector<SiteHook> functions;
  for (HookedSite& hooked : hooks) functions.push_back(std::move(hooked.hook));
  impl->table = c10::make_intrusive<HookTable>(std::move(functions), impl_->narrow);
  return Executable(std::move(impl));
}

Executable::Executable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executable::Executable(Executable&&) noexcept = default;
Executable::~Executable() = default;

at::Tensor Executable::logits(const ModelInputs& inputs) const {
  return run_rewritten(impl_->full, impl_->program->stack(inputs), impl_->table);
}

at::Tensor Executable::logits_at(const ModelInputs& inputs, const at::Tensor& positions) const {
  if (impl_->body) return head(before_head(inputs, positions));
  return logits(inputs).flatten(0, 1).index_select(0, positions);
}

at::Tensor Executable::before_head(const ModelInputs& inputs, const at::Tensor& positions) const {
  if (inputs.documents.empty())
    return run_rewritten(impl_->body.value(), impl_->program->stack(inputs), impl_->table, &positions);
  return run_rewritten(impl_->packed_body.value(), impl_->packed->stack(packed_inputs(inputs)), impl_->table,
                       &positions);
}

at::Tensor Executable::head(const at::Tensor& rows) const {
  return run_rewritten(impl_->head.value(), impl_->program->stack({}), impl_->table, &rows);
}

bool Executable::splits_at_head() const { return impl_->body.has_value(); }

bool Program::packs() const { return impl_->usable_packed() != nullptr; }

}  // namespace lora
