#include "lora/kernels/gated.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/vector_math.h"

namespace lora {
namespace {

constexpr std::int64_t kGrain = 1 << 14;
constexpr float kRoot = 0.79788456f, kCube = 0.044715f;  ///< sqrt(2 / pi), and of the cubic term

/// What is passed to the sigmoid, and its derivative.
LORA_INLINE float inner(Gate act, float x) {
  return act == Gate::silu ? x : 2 * kRoot * (x + kCube * x * x * x);
}
LORA_INLINE float inner_slope(Gate act, float x) {
  return act == Gate::silu ? 1.0f : 2 * kRoot * (1 + 3 * kCube * x * x);
}

template <Gate act>
LORA_INLINE void multiply_loop(const float* gate, const float* up, float* y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = gate[i] * vector_sigmoid(inner(act, gate[i])) * up[i];
}

template <Gate act>
LORA_INLINE void differentiate_loop(const float* dy, const float* gate, const float* up, float* dgate,
                                    float* dup, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float x = gate[i], s = vector_sigmoid(inner(act, x));
    dup[i] = dy[i] * x * s;
    dgate[i] = dy[i] * up[i] * (s + x * s * (1 - s) * inner_slope(act, x));
  }
}

LORA_EVERY_VECTOR_WIDTH
void multiply(Gate act, const float* gate, const float* up, float* y, std::int64_t count) {
  act == Gate::silu ? multiply_loop<Gate::silu>(gate, up, y, count)
                    : multiply_loop<Gate::gelu_tanh>(gate, up, y, count);
}

LORA_EVERY_VECTOR_WIDTH
void differentiate(Gate act, const float* dy, const float* gate, const float* up, float* dgate, float* dup,
                   std::int64_t count) {
  act == Gate::silu ? differentiate_loop<Gate::silu>(dy, gate, up, dgate, dup, count)
                    : differentiate_loop<Gate::gelu_tanh>(dy, gate, up, dgate, dup, count);
}

struct Gated : torch::autograd::Function<Gated> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& gate,
                            const at::Tensor& up, std::int64_t act) {
    at::Tensor y = at::empty_like(gate);
    const auto *left = gate.const_data_ptr<float>(), *right = up.const_data_ptr<float>();
    auto* to = y.mutable_data_ptr<float>();
    at::parallel_for(0, gate.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      multiply(static_cast<Gate>(act), left + begin, right + begin, to + begin, end - begin);
    });
    context->save_for_backward({gate, up});
    context->saved_data["act"] = act;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &gate = saved[0], &up = saved[1], dy = upstream[0].contiguous();
    at::Tensor dgate = at::empty_like(gate), dup = at::empty_like(up);
    const auto act = static_cast<Gate>(context->saved_data["act"].toInt());
    const auto *grad = dy.const_data_ptr<float>(), *left = gate.const_data_ptr<float>(),
               *right = up.const_data_ptr<float>();
    auto *to_left = dgate.mutable_data_ptr<float>(), *to_right = dup.mutable_data_ptr<float>();
    at::parallel_for(0, gate.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      differentiate(act, grad + begin, left + begin, right + begin, to_left + begin, to_right + begin,
                    end - begin);
    });
    return {dgate, dup, at::Tensor()};
  }
};

bool is_plain(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

}  // namespace

at::Tensor gated(Gate act, const at::Tensor& gate, const at::Tensor& up) {
  const bool fits = is_plain(gate) && is_plain(up) && gate.sizes() == up.sizes();
  return fits ? Gated::apply(gate, up, static_cast<std::int64_t>(act)) : gated_reference(act, gate, up);
}

at::Tensor gated_reference(Gate act, const at::Tensor& gate, const at::Tensor& up) {
  return (act == Gate::silu ? at::silu(gate) : at::gelu(gate, "tanh")) * up;
}

}  // namespace lora
