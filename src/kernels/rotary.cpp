#include "lora/kernels/rotary.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/vector_math.h"

namespace lora {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

/// One head's features at one position, forward and backward: the backward pass is the transposed rotation.
LORA_EVERY_VECTOR_WIDTH
void rotate_forward(const float* x, const float* cos, const float* sin, float* y, std::int64_t half) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float first = x[i], second = x[half + i];
    y[i] = first * cos[i] - second * sin[i];
    y[half + i] = second * cos[half + i] + first * sin[half + i];
  }
}

LORA_EVERY_VECTOR_WIDTH
void rotate_backward(const float* dy, const float* cos, const float* sin, float* dx, std::int64_t half) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float first = dy[i], second = dy[half + i];
    dx[i] = first * cos[i] + second * sin[half + i];
    dx[half + i] = second * cos[half + i] - first * sin[i];
  }
}

/// [batch, heads, time, d] laid out as [batch, time, heads, d]: where projections and attention both want it.
at::Tensor empty_by_time(const at::Tensor& like) {
  return at::empty({like.size(0), like.size(2), like.size(1), like.size(3)}, like.options()).transpose(1, 2);
}

using Rotate = void (*)(const float*, const float*, const float*, float*, std::int64_t);

at::Tensor rotate_all(Rotate rotate, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  at::Tensor y = empty_by_time(x);
  const std::int64_t heads = x.size(1), time = x.size(2), dim = x.size(3);
  const auto *from = x.const_data_ptr<float>(), *c = cos.const_data_ptr<float>(),
             *s = sin.const_data_ptr<float>();
  auto* to = y.mutable_data_ptr<float>();
  const std::int64_t angles = cos.size(0) > 1 ? cos.stride(0) : 0;
  at::parallel_for(0, x.size(0) * time, std::max<std::int64_t>(1, kGrain / (heads * dim)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       const std::int64_t row = i / time, t = i % time, angle = row * angles + t * dim;
                       for (std::int64_t head = 0; head < heads; ++head)
                         rotate(from + row * x.stride(0) + head * x.stride(1) + t * x.stride(2), c + angle,
                                s + angle, to + (i * heads + head) * dim, dim / 2);
                     }
                   });
  return y;
}

struct Rotary : torch::autograd::Function<Rotary> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& cos, const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return rotate_all(rotate_forward, x, cos, sin);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor dy = upstream[0].stride(-1) == 1 ? upstream[0] : upstream[0].contiguous();
    return {rotate_all(rotate_backward, dy, saved[0], saved[1]), at::Tensor(), at::Tensor()};
  }
};

bool is_plain(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.dim() == 4;
}

bool are_angles_of(const at::Tensor& angles, const at::Tensor& x) {
  return is_plain(angles) && angles.is_contiguous() && !angles.requires_grad() &&
         (angles.size(0) == 1 || angles.size(0) == x.size(0)) && angles.size(1) == 1 &&
         angles.size(2) == x.size(2) && angles.size(3) == x.size(3);
}

}  // namespace

at::Tensor rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const bool fits = is_plain(x) && x.stride(-1) == 1 && x.size(3) % 2 == 0 && are_angles_of(cos, x) &&
                    are_angles_of(sin, x) && cos.size(0) == sin.size(0);
  return fits ? Rotary::apply(x, cos, sin) : rotary_reference(x, cos, sin);
}

at::Tensor rotary_reference(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor turned = at::cat({-x.narrow(-1, half, x.size(-1) - half), x.narrow(-1, 0, half)}, -1);
  return x * cos + turned * sin;
}

}  // namespace lora
