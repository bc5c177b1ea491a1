#include "lora/model/cached_executable.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"
#include "model/cache_op.h"
#include "model/graph_builder.h"
#include "model/hook_op.h"
#include "model/method_graph.h"
#include "model/program_impl.h"
#include "model/run_graph.h"

namespace lora {
namespace {

constexpr double kTolerance = 1e-3;        ///< of logits, relative to the largest: rounding alone reaches 3e-4
constexpr double kNarrowTolerance = 0.05;  ///< the same in bfloat16

}  // namespace

struct CachedExecutable::Impl {
  const Program::Impl* program;
  std::shared_ptr<const MethodGraph> method;
  c10::intrusive_ptr<HookTable> table;
  std::optional<torch::jit::Code> code;
  bool selects = false, appends = false;
  std::vector<std::int64_t> empty_past;  ///< [2 layers, 0 rows, heads, 0 tokens, head size]

  void compile(std::vector<HookedSite> hooks, bool in_place);
};

void CachedExecutable::Impl::compile(std::vector<HookedSite> hooks, bool in_place) {
  GraphBuilder builder(method->lowered, program->info.key_prefix);
  const std::vector<std::size_t> order = same_sites(hooks, builder.located());
  selects = builder.select_rows();
  if (program->narrow) builder.narrow();
  builder.hook(hooks, order);
  appends = in_place && append_in_place(builder.graph());
  builder.rewrite(program->usable_rewrite_names());
  table = c10::make_intrusive<HookTable>(std::move(hooks), program->narrow);
  code = builder.compile();
}

CachedExecutable::CachedExecutable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CachedExecutable::CachedExecutable(CachedExecutable&&) noexcept = default;
CachedExecutable& CachedExecutable::operator=(CachedExecutable&&) noexcept = default;
CachedExecutable::~CachedExecutable() = default;

bool CachedExecutable::appends_in_place() const { return impl_->appends; }

at::Tensor CachedExecutable::next_logits(const CachedInputs& inputs, KeyValueCache& cache) const {
  const std::int64_t rows = inputs.input_ids.size(0), time = inputs.input_ids.size(1);
  if (!cache.storage.defined()) {
    std::vector<std::int64_t> sizes = impl_->empty_past;
    sizes[1] = rows;
    cache.storage = at::empty(
        sizes, at::dtype(impl_->method->weights.front()->scalar_type()).device(impl_->program->device));
  }
  std::vector<c10::IValue> stack =
      impl_->method->stack({inputs.input_ids, inputs.attention_mask, inputs.position_ids,
                            cache.storage.narrow(3, 0, cache.length)});
  stack.push_back(c10::IValue::make_capsule(impl_->table));
  if (impl_->selects) {
    const auto options = at::dtype(at::kLong).device(impl_->program->device);
    stack.emplace_back(at::arange(1, rows + 1, options) * time - 1);
  }
  if (impl_->appends) stack.push_back(c10::IValue::make_capsule(c10::make_intrusive<CacheHolder>(cache)));
  const std::vector<c10::IValue> outputs = run_code(*impl_->code, std::move(stack));
  cache.length += time;
  if (!impl_->appends) cache.storage = outputs.back().toTensor();
  const at::Tensor logits = outputs[outputs.size() - (impl_->appends ? 1 : 2)].toTensor();
  return impl_->selects ? logits : logits.select(1, -1);
}

namespace {

/// Largest difference of the probe's last logits, in two pieces, from those of `forward`, relative to the
/// largest logit.
double difference_from_forward(const CachedExecutable& cached, const Executable& executable,
                               const ModelInfo& info, at::Device device) {
  constexpr std::int64_t kRows = 2, kTime = 6, kFirst = 4;
  const auto options = at::dtype(at::kLong).device(device);
  const at::Tensor ids = at::arange(1, kRows * kTime + 1, options)
                             .reshape({kRows, kTime})
                             .remainder(std::max<std::int64_t>(info.vocab_size, 2));
  const at::Tensor mask = at::ones({kRows, kTime}, options),
                   places = at::arange(kTime, options).expand({kRows, kTime});
  const at::Tensor expected = executable.logits({ids, mask, {}}).select(1, -1);
  KeyValueCache cache;
  cached.next_logits({ids.narrow(1, 0, kFirst), mask.narrow(1, 0, kFirst), places.narrow(1, 0, kFirst)},
                     cache);
  const at::Tensor found = cached.next_logits(
      {ids.narrow(1, kFirst, kTime - kFirst), mask, places.narrow(1, kFirst, kTime - kFirst)}, cache);
  return ((found - expected).abs().max() / expected.abs().max()).item<double>();
}

}  // namespace

std::optional<CachedExecutable> Program::cached_executable(std::vector<HookedSite> hooks) const {
  if (!impl_->info.past) return std::nullopt;
  const at::NoGradGuard no_grad;
  try {
    const auto method = std::make_shared<const MethodGraph>(
        *impl_, "decode", std::vector<std::string>{"input_ids", "attention_mask", "position_ids", "past"}, 2);
    const Executable plain = executable(hooks);
    for (const bool in_place : {true, false}) {
      auto impl = std::make_unique<CachedExecutable::Impl>();
      impl->program = impl_.get();
      impl->method = method;
      const PastShape& past = *impl_->info.past;
      impl->empty_past = {past.tensors, 0, past.heads, 0, past.head_size};
      impl->compile(hooks, in_place);
      CachedExecutable cached(std::move(impl));
      const double difference = difference_from_forward(cached, plain, info(), device());
      if (difference <= (impl_->narrow ? kNarrowTolerance : kTolerance)) return cached;
      log_debug("model", "\"decode\" differs from forward by ", difference, in_place ? " in place" : "");
    }
  } catch (const std::exception& error) {
    log_debug("model", "\"decode\" cannot be used: ", error.what());
  }
  return std::nullopt;
}

}  // namespace lora
