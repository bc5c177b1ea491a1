#include "lora/kernels/cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <set>

#include "kernels/softmax_loss.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Elements of one chunk: 2 MiB of float32, which stay in a core's cache between the passes over them.
constexpr std::int64_t kChunkElements = 1 << 19;

void check_shapes(const at::Tensor& logits, const at::Tensor& targets) {
  if (logits.dim() == 2 && targets.dim() == 1 && logits.size(0) == targets.size(0)) return;
  throw Error(ExitCode::internal, cat("cross entropy: logits ", logits.sizes(), ", targets ", targets.sizes(),
                                      "; expected [n, vocabulary] and [n]"));
}

bool has_fast_rows(const at::Tensor& logits) {
  return logits.is_cpu() && logits.scalar_type() == at::kFloat && logits.is_contiguous();
}

/// Sum of the rows' losses, float64; with `differentiate`, the logits become the gradient.
at::Tensor sum_of_rows(const at::Tensor& logits, const at::Tensor& targets, double smoothing,
                       bool differentiate) {
  const std::int64_t rows = logits.size(0), width = logits.size(1);
  const at::Tensor indices = targets.contiguous(), losses = at::empty({rows}, at::kDouble);
  const auto* const target = indices.const_data_ptr<std::int64_t>();
  auto* const loss = losses.mutable_data_ptr<double>();
  TORCH_CHECK(
      rows == 0 || (targets.min().item<std::int64_t>() >= 0 && targets.max().item<std::int64_t>() < width),
      "cross entropy: a target is no class");
  at::parallel_for(0, rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      loss[row] = differentiate ? softmax_loss_gradient(logits.mutable_data_ptr<float>() + row * width, width,
                                                        target[row], smoothing)
                                : softmax_loss(logits.const_data_ptr<float>() + row * width, width,
                                               target[row], smoothing);
    }
  });
  return losses.sum();
}

/// Sum of the losses, float64. With `gradient`, row i of it becomes softmax(logits[i]) minus the target's
/// distribution; it may be `logits` itself.
at::Tensor sum_in_chunks(const at::Tensor& logits, const at::Tensor& targets, double smoothing,
                         at::Tensor* gradient) {
  if (has_fast_rows(logits)) {
    if (gradient && !gradient->is_alias_of(logits)) gradient->copy_(logits);
    return sum_of_rows(gradient ? *gradient : logits, targets, smoothing, gradient != nullptr);
  }
  const double share = smoothing / static_cast<double>(std::max<std::int64_t>(1, logits.size(1)));
  const std::int64_t rows = logits.size(0);
  const std::int64_t step =
      std::max<std::int64_t>(1, kChunkElements / std::max<std::int64_t>(1, logits.size(1)));
  at::Tensor total = at::zeros({}, logits.options().dtype(at::kDouble));
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t length = std::min(step, rows - begin);
    const at::Tensor index = targets.narrow(0, begin, length).unsqueeze(1);
    at::Tensor log_probability = at::log_softmax(logits.narrow(0, begin, length).to(at::kFloat), 1);
    total.sub_(log_probability.gather(1, index).sum(at::kDouble).mul_(1 - smoothing));
    if (smoothing > 0) total.sub_(log_probability.sum(at::kDouble).mul_(share));
    if (!gradient) continue;
    log_probability.exp_().scatter_add_(1, index,
                                        at::full({length, 1}, smoothing - 1, log_probability.options()));
    if (smoothing > 0) log_probability.sub_(share);
    gradient->narrow(0, begin, length).copy_(log_probability);
  }
  return total;
}

/// True if no operation of the graph keeps the values of `logits` for its own backward pass, so that they may
/// be overwritten: the producers below are known not to; views are followed to what they look at.
bool may_overwrite(const at::Tensor& logits) {
  static const std::set<std::string> kViews = {"ViewBackward0", "UnsafeViewBackward0",
                                               "ReshapeAliasBackward0", "AliasBackward0"};
  static const std::set<std::string> kSafe = {"MmBackward0",          "AddmmBackward0", "MulBackward0",
                                              "DivBackward0",         "AddBackward0",   "IndexBackward0",
                                              "IndexSelectBackward0", "CloneBackward0", "ToCopyBackward0"};
  auto node = logits.grad_fn();
  while (node && kViews.count(node->name()) && !node->next_edges().empty())
    node = node->next_edge(0).function;
  return !node || kSafe.count(node->name());
}

struct CrossEntropySum : torch::autograd::Function<CrossEntropySum> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                            const at::Tensor& targets, double smoothing, bool in_place) {
    at::Tensor gradient = in_place ? logits.detach() : at::empty_like(logits);
    const at::Tensor total = sum_in_chunks(logits, targets, smoothing, &gradient);
    context->save_for_backward({gradient});
    return total.to(at::kFloat);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const at::Tensor gradient = context->get_saved_variables()[0];
    const double scale = upstream[0].item<double>();
    return {scale == 1 ? gradient : gradient * scale, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor cross_entropy_sum(const at::Tensor& logits, const at::Tensor& targets, double smoothing) {
  check_shapes(logits, targets);
  if (!at::GradMode::is_enabled() || !logits.requires_grad()) {
    return sum_in_chunks(logits, targets, smoothing, nullptr).to(at::kFloat);
  }
  return CrossEntropySum::apply(logits, targets, smoothing, may_overwrite(logits));
}

at::Tensor cross_entropy_sum_reference(const at::Tensor& logits, const at::Tensor& targets,
                                       double smoothing) {
  check_shapes(logits, targets);
  const at::Tensor log_probability = at::log_softmax(logits.to(at::kFloat), 1);
  return -(1 - smoothing) * log_probability.gather(1, targets.unsqueeze(1)).sum() -
         smoothing * log_probability.mean(1).sum();
}

}  // namespace lora
