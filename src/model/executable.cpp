#include <ATen/ATen.h>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "model/archive.h"
#include "model/graph_builder.h"
#include "model/hook_op.h"
#include "model/program_impl.h"
#include "model/run_graph.h"

namespace lora {
namespace {

/// One run of rewritten code: inputs, weights, hook table and, for a selecting graph, positions.
at::Tensor run_logits(const torch::jit::Code& code, std::vector<c10::IValue> stack,
                      const c10::intrusive_ptr<HookTable>& table, const at::Tensor* positions) {
  stack.push_back(c10::IValue::make_capsule(table));
  if (positions) stack.emplace_back(*positions);
  return logits_of(run_graph(code, std::move(stack)));
}

bool rows_agree(const Program::Impl& program) {
  GraphBuilder plain(program.lowered, program.info.key_prefix),
      selecting(program.lowered, program.info.key_prefix);
  if (!selecting.select_rows()) return false;
  const at::NoGradGuard no_grad;
  const auto table = c10::make_intrusive<HookTable>(std::vector<SiteHook>{});
  const ModelInputs probe = program.probe_inputs();
  const at::Tensor positions = at::tensor({1, 3, 8}, at::dtype(at::kLong).device(program.device));
  const at::Tensor expected = run_logits(plain.compile(), program.stack(probe), table, nullptr);
  const at::Tensor chosen = run_logits(selecting.compile(), program.stack(probe), table, &positions);
  const at::Tensor rows = expected.flatten(0, 1).index_select(0, positions);
  return chosen.sizes() == rows.sizes() && at::allclose(chosen, rows, 1e-4, 1e-4);
}

}  // namespace

bool Program::Impl::can_select_rows() const {
  if (!selectable) {
    try {
      selectable = info.task == Task::language_model && rows_agree(*this);
    } catch (const std::exception& error) {
      log_debug("model", "the head computes every position: ", short_torch_message(error.what()));
      selectable = false;
    }
  }
  return *selectable;
}

struct Executable::Impl {
  const Program::Impl* program;
  c10::intrusive_ptr<HookTable> table;
  torch::jit::Code full;
  std::optional<torch::jit::Code> selecting;
};

Executable Program::executable(std::vector<HookedSite> hooks) const {
  std::vector<std::size_t> order;
  std::vector<SiteHook> functions;
  for (HookedSite& hooked : hooks) {
    order.push_back(static_cast<std::size_t>(hooked.site - impl_->sites.data()));
    if (order.back() >= impl_->sites.size())
      throw Error(ExitCode::internal, "a hook names a site of another program");
    functions.push_back(std::move(hooked.hook));
  }
  auto impl = std::make_unique<Executable::Impl>();
  impl->program = impl_.get();
  impl->table = c10::make_intrusive<HookTable>(std::move(functions));
  GraphBuilder plain(impl_->lowered, impl_->info.key_prefix);
  plain.hook(order);
  plain.rewrite(impl_->usable_rewrite_names());
  impl->full = plain.compile();
  if (impl_->can_select_rows()) {
    GraphBuilder selecting(impl_->lowered, impl_->info.key_prefix);
    selecting.select_rows();
    selecting.hook(order);
    selecting.rewrite(impl_->usable_rewrite_names());
    impl->selecting = selecting.compile();
  }
  return Executable(std::move(impl));
}

Executable::Executable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executable::Executable(Executable&&) noexcept = default;
Executable::~Executable() = default;

at::Tensor Executable::logits(const ModelInputs& inputs) const {
  return run_logits(impl_->full, impl_->program->stack(inputs), impl_->table, nullptr);
}

at::Tensor Executable::logits_at(const ModelInputs& inputs, const at::Tensor& positions) const {
  if (!impl_->selecting) return logits(inputs).flatten(0, 1).index_select(0, positions);
  return run_logits(*impl_->selecting, impl_->program->stack(inputs), impl_->table, &positions);
}

bool Executable::selects_before_head() const { return impl_->selecting.has_value(); }

}  // namespace lora
