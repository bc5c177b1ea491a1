#include "lora/kernels/low_rank_linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <bit>

namespace lora {
namespace {

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

at::Tensor rows_of(const at::Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}); }

/// Rows of products in another type come in multiples of this, fewer in powers of two: LibTorch's library for
/// them makes and keeps code and scratch memory for each number of rows that it meets.
constexpr std::uint64_t kRowStep = 128;

std::int64_t padded_rows(std::int64_t count) {
  const auto rows = static_cast<std::uint64_t>(count);
  return static_cast<std::int64_t>(rows < kRowStep ? std::bit_ceil(rows)
                                                   : (rows + kRowStep - 1) / kRowStep * kRowStep);
}

/// rows [n, in] times W [out, in] in W's type, back in rows' type [n, out]. Not differentiable.
at::Tensor converted_product(const at::Tensor& rows, const at::Tensor& W) {
  if (rows.scalar_type() == W.scalar_type()) return at::linear(rows, W);
  const std::int64_t count = rows.size(0), padded = padded_rows(count);
  at::Tensor narrow = at::empty({padded, rows.size(1)}, W.options());
  narrow.narrow(0, 0, count).copy_(rows);
  narrow.narrow(0, count, padded - count).zero_();
  return at::linear(narrow, W).narrow(0, 0, count).to(rows.scalar_type());
}

struct ConvertedProduct : torch::autograd::Function<ConvertedProduct> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& rows,
                            const at::Tensor& W) {
    context->save_for_backward({W});
    return converted_product(rows, W);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    return {converted_product(upstream[0], context->get_saved_variables()[0].t()), at::Tensor()};
  }
};

struct LowRankLinear : torch::autograd::Function<LowRankLinear> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& W, const std::optional<at::Tensor>& b, const at::Tensor& A,
                            const at::Tensor& B, double s) {
    const at::Tensor rows = rows_of(x);
    at::Tensor y = converted_product(rows, W);
    if (b) y.add_(*b);
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
    return at::_unsafe_view(y, sizes);  // a graph may add to it in place, which autograd refuses for views
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
      dx = converted_product(dy, W.t());
      dx = dx.addmm_(dh, A).view(context->saved_data["sizes"].toIntVector());
    }
    if (trained[1]) db = dy.sum(0);
    if (trained[2]) dA = at::mm(dh.t(), rows);
    if (trained[3]) dB = at::mm(h.t(), dy).mul_(s).t();
    return {dx, at::Tensor(), db, dA, dB, at::Tensor()};
  }
};

}  // namespace

at::Tensor product_in_type_of(const at::Tensor& x, const at::Tensor& W) {
  if (x.scalar_type() == W.scalar_type()) return at::linear(x, W);
  if (W.requires_grad()) return at::linear(x.to(W.scalar_type()), W).to(x.scalar_type());
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = W.size(0);
  return ConvertedProduct::apply(rows_of(x), W).view(sizes);
}

at::Tensor low_rank_linear(const at::Tensor& x, const at::Tensor& W, const at::Tensor& b, const at::Tensor& A,
                           const at::Tensor& B, double s) {
  return LowRankLinear::apply(x, W, optional(b), A, B, s);
}

at::Tensor low_rank_linear_reference(const at::Tensor& x, const at::Tensor& W, const at::Tensor& b,
                                     const at::Tensor& A, const at::Tensor& B, double s) {
  return at::linear(x, W.to(x.scalar_type()), optional(b)) + at::linear(at::linear(x, A) * s, B);
}

}  // namespace lora
