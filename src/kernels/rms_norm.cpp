#include "lora/kernels/rms_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "kernels/vector_math.h"

namespace lora {
namespace {

/// Rows of `dim` numbers that follow each other in memory.
struct Rows {
  std::int64_t count, dim;
};

/// Elements of a parallel piece.
constexpr std::int64_t kGrain = 1 << 14;

std::int64_t rows_per_piece(std::int64_t dim) { return std::max<std::int64_t>(1, kGrain / dim); }

LORA_EVERY_VECTOR_WIDTH
void normalise(const float* x, const float* weight, float offset, float epsilon, Rows rows, float* y,
               float* inverse) {
  for (std::int64_t row = 0; row < rows.count; ++row, x += rows.dim, y += rows.dim) {
    float lanes[kLanes] = {};
    std::int64_t i = 0;
    for (; i + kLanes <= rows.dim; i += kLanes)
      for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += x[i + lane] * x[i + lane];
    double square = 0;
    for (const float lane : lanes) square += lane;
    for (; i < rows.dim; ++i) square += x[i] * x[i];
    const float scale =
        1.0f / std::sqrt(static_cast<float>(square / static_cast<double>(rows.dim)) + epsilon);
    inverse[row] = scale;
    for (i = 0; i < rows.dim; ++i) y[i] = x[i] * scale * (weight[i] + offset);
  }
}

/// dx = r (g - x r^2 mean(g x)) with g = dy (weight + offset); dw += dy x r unless null.
LORA_EVERY_VECTOR_WIDTH
void differentiate(const float* dy, const float* x, const float* weight, float offset, const float* inverse,
                   Rows rows, float* dx, float* dw) {
  for (std::int64_t row = 0; row < rows.count; ++row, x += rows.dim, dy += rows.dim, dx += rows.dim) {
    float lanes[kLanes] = {};
    std::int64_t i = 0;
    for (; i + kLanes <= rows.dim; i += kLanes)
      for (std::int64_t lane = 0; lane < kLanes; ++lane)
        lanes[lane] += dy[i + lane] * (weight[i + lane] + offset) * x[i + lane];
    double product = 0;
    for (const float lane : lanes) product += lane;
    for (; i < rows.dim; ++i) product += dy[i] * (weight[i] + offset) * x[i];
    const float scale = inverse[row];
    const float shrink = static_cast<float>(product / static_cast<double>(rows.dim)) * scale * scale;
    for (i = 0; i < rows.dim; ++i) dx[i] = scale * (dy[i] * (weight[i] + offset) - x[i] * shrink);
    if (!dw) continue;
    for (i = 0; i < rows.dim; ++i) dw[i] += dy[i] * x[i] * scale;
  }
}

/// In memory rows of the last dimension, whatever the order of the others.
bool has_dense_rows(const at::Tensor& x) {
  return x.dim() > 0 && x.size(-1) > 0 && x.stride(-1) == 1 && x.is_non_overlapping_and_dense();
}

bool is_plain(const at::Tensor& tensor) { return tensor.is_cpu() && tensor.scalar_type() == at::kFloat; }

Rows rows_of(const at::Tensor& x) { return {x.numel() / x.size(-1), x.size(-1)}; }

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, double epsilon, double offset) {
    const Rows rows = rows_of(x);
    at::Tensor y = at::empty_like(x), inverse = at::empty({rows.count}, x.options());
    const auto *from = x.const_data_ptr<float>(), *factor = weight.const_data_ptr<float>();
    auto *to = y.mutable_data_ptr<float>(), *scale = inverse.mutable_data_ptr<float>();
    at::parallel_for(0, rows.count, rows_per_piece(rows.dim), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t start = begin * rows.dim;
      normalise(from + start, factor, static_cast<float>(offset), static_cast<float>(epsilon),
                {end - begin, rows.dim}, to + start, scale + begin);
    });
    context->save_for_backward({x, weight, inverse});
    context->saved_data["offset"] = offset;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &inverse = saved[2];
    const Rows rows = rows_of(x);
    const bool wants_weight = context->needs_input_grad(1);
    at::Tensor dx = at::empty_like(x), dy = at::empty_like(x);
    upstream[0].strides() == x.strides() ? void(dy = upstream[0]) : void(dy.copy_(upstream[0]));
    const std::int64_t pieces = wants_weight ? at::get_num_threads() : 0;
    at::Tensor dw = at::zeros({std::max<std::int64_t>(pieces, 1), rows.dim}, x.options());
    const auto offset = static_cast<float>(context->saved_data["offset"].toDouble());
    const auto *grad = dy.const_data_ptr<float>(), *from = x.const_data_ptr<float>(),
               *factor = weight.const_data_ptr<float>(), *scale = inverse.const_data_ptr<float>();
    auto *to = dx.mutable_data_ptr<float>(), *sums = dw.mutable_data_ptr<float>();
    const auto piece = [&](std::int64_t begin, std::int64_t end, float* sum) {
      const std::int64_t start = begin * rows.dim;
      differentiate(grad + start, from + start, factor, offset, scale + begin, {end - begin, rows.dim},
                    to + start, sum);
    };
    if (!wants_weight) {
      at::parallel_for(0, rows.count, rows_per_piece(rows.dim),
                       [&](std::int64_t begin, std::int64_t end) { piece(begin, end, nullptr); });
      return {dx, at::Tensor(), at::Tensor(), at::Tensor()};
    }
    // Fixed pieces: the sum over rows does not depend on which thread took which.
    const std::int64_t each = (rows.count + pieces - 1) / pieces;
    at::parallel_for(0, pieces, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t number = first; number < last; ++number) {
        const std::int64_t begin = std::min(number * each, rows.count),
                           end = std::min(begin + each, rows.count);
        piece(begin, end, sums + number * rows.dim);
      }
    });
    return {dx, dw.sum(0), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, double offset) {
  const bool fits = is_plain(x) && is_plain(weight) && has_dense_rows(x) && weight.dim() == 1 &&
                    weight.size(0) == x.size(-1) && weight.is_contiguous();
  return fits ? RmsNorm::apply(x, weight, epsilon, offset) : rms_norm_reference(x, weight, epsilon, offset);
}

at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight, double epsilon, double offset) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(at::mean(at::pow(wide, 2), {-1}, /*keepdim=*/true) + epsilon);
  return (wide * scale).to(x.scalar_type()) * (offset == 0 ? weight : weight + offset);
}

}  // namespace lora
