#include "lora/kernels/low_rank_linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace lora {
namespace {

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

at::Tensor rows_of(const at::Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}); }

struct LowRankLinear : torch::autograd::Function<LowRankLinear> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& W,
                            const std::optional<at::Tensor>& b, const at::Tensor& A, const at::Tensor& B, double s) {
    const at::Tensor rows = rows_of(x);
    at::Tensor y = at::linear(rows, W, b);
    const at::Tensor h = at::mm(rows, A.t());
    y.addmm_(h, B.t(), 1, s);
    // Not needs_input_grad(): it does not count an absent bias.
    context->saved_data["trained"] =
        std::vector<bool>{x.requires_grad(), b && b->requires_grad(), A.requires_grad(), B.requires_grad()};
    context->save_for_backward({A.requires_grad() ? rows : at::Tensor(), W, A, B, h});
    context->saved_data["scale"] = s;
    context->saved_data["sizes"] = x.sizes().vec();
    std::vector<std::int64_t> sizes = x.sizes().vec();
    sizes.back() = W.size(0);
    return y.view(sizes);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &rows = saved[0], &W = saved[1], &A = saved[2], &B = saved[3], &h = saved[4];
    const at::Tensor dy = rows_of(upstream[0]);
    const double s = context->saved_data["scale"].toDouble();
    const auto trained = context->saved_data["trained"].toBoolList();
    at::Tensor dx, db, dA, dB;
    at::Tensor dh = at::mm(dy, B);
    dh.mul_(s);
    if (trained[0]) {
      dx = at::mm(dy, W);
      dx = dx.addmm_(dh, A).view(context->saved_data["sizes"].toIntVector());
    }
    if (trained[1]) db = dy.sum(0);
    if (trained[2]) dA = at::mm(dh.t(), rows);
    if (trained[3]) dB = at::mm(h.t(), dy).mul_(s).t();
    return {dx, at::Tensor(), db, dA, dB, at::Tensor()};
  }
};

}  // namespace

at::Tensor low_rank_linear(const at::Tensor& x, const at::Tensor& W, const at::Tensor& b, const at::Tensor& A,
                           const at::Tensor& B, double s) {
  return LowRankLinear::apply(x, W, optional(b), A, B, s);
}

at::Tensor low_rank_linear_reference(const at::Tensor& x, const at::Tensor& W, const at::Tensor& b, const at::Tensor& A,
                                     const at::Tensor& B, double s) {
  return at::linear(x, W, optional(b)) + at::linear(at::linear(x, A) * s, B);
}

}  // namespace lora
