#include "lora/kernels/attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <cmath>
#include <functional>
#include <utility>

#include "kernels/tiled_attention.h"

namespace lora {
namespace {

using Kind = AttentionBlock::Kind;

struct PlanHolder : torch::CustomClassHolder {
  explicit PlanHolder(AttentionPlan all) : plan(std::move(all)) {}
  AttentionPlan plan;
};

/// The rows [first, first + count) of the batch that a list of blocks is for.
struct BatchRows {
  std::int64_t first, count;
};

void for_each_block(const AttentionPlan& plan, std::int64_t batch,
                    const std::function<void(BatchRows, const AttentionBlock&)>& visit) {
  const bool alike = plan.rows.size() == 1;
  for (std::size_t row = 0; row < plan.rows.size(); ++row)
    for (const AttentionBlock& block : plan.rows[row])
      visit(alike ? BatchRows{0, batch} : BatchRows{static_cast<std::int64_t>(row), 1}, block);
}

at::Tensor part(const at::Tensor& all, BatchRows rows, std::int64_t begin, std::int64_t count) {
  return all.narrow(0, rows.first, rows.count).narrow(2, begin, count);
}

std::optional<at::Tensor> mask_of(const AttentionPlan& plan, BatchRows rows, const AttentionBlock& block) {
  if (block.kind != Kind::masked) return std::nullopt;
  const at::Tensor mine =
      plan.additive.size(0) == 1 ? plan.additive : plan.additive.narrow(0, rows.first, rows.count);
  return mine.narrow(2, block.query, block.queries).narrow(3, block.key, block.keys);
}

/// LibTorch's flash attention, block by block: the outputs, then each block's normalisers.
torch::autograd::variable_list flash_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                               const AttentionPlan& plan, double scale) {
  const bool whole =
      plan.rows.size() == 1 && plan.rows[0].size() == 1 && plan.rows[0][0].queries == q.size(2);
  torch::autograd::variable_list results = {whole ? at::Tensor() : empty_by_time(q.sizes(), q.options())};
  for_each_block(plan, q.size(0), [&](BatchRows rows, const AttentionBlock& block) {
    auto [result, normaliser] = at::_scaled_dot_product_flash_attention_for_cpu(
        part(q, rows, block.query, block.queries), part(k, rows, block.key, block.keys),
        part(v, rows, block.key, block.keys), /*dropout_p=*/0, block.kind == Kind::causal,
        mask_of(plan, rows, block), scale);
    if (whole)
      results[0] = result;
    else
      part(results[0], rows, block.query, block.queries).copy_(result);
    results.push_back(normaliser);
  });
  return results;
}

AttentionGradients flash_attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                            const at::Tensor& v, at::TensorList results,
                                            const AttentionPlan& plan, double scale) {
  // Keys may be seen by several blocks; queries belong to one.
  const auto empty_like = [](const at::Tensor& all) { return empty_by_time(all.sizes(), all.options()); };
  AttentionGradients gradients{empty_like(q), empty_like(k).zero_(), empty_like(v).zero_()};
  std::size_t number = 1;
  for_each_block(plan, q.size(0), [&](BatchRows rows, const AttentionBlock& block) {
    const auto queries = [&](const at::Tensor& all) { return part(all, rows, block.query, block.queries); };
    const auto keys = [&](const at::Tensor& all) { return part(all, rows, block.key, block.keys); };
    const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        queries(dout), queries(q), keys(k), keys(v), queries(results[0]), results[number++], /*dropout_p=*/0,
        block.kind == Kind::causal, mask_of(plan, rows, block), scale);
    queries(gradients.q).copy_(dq);
    keys(gradients.k).add_(dk);
    keys(gradients.v).add_(dv);
  });
  return gradients;
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q,
                            const at::Tensor& k, const at::Tensor& v,
                            const c10::intrusive_ptr<PlanHolder>& holder, double scale) {
    torch::autograd::variable_list saved = {q, k, v};
    const bool tiles = tiles_fit(q, k, v, holder->plan);
    for (const at::Tensor& result : tiles ? tiled_attention(q, k, v, holder->plan, scale)
                                          : flash_attention(q, k, v, holder->plan, scale))
      saved.push_back(result);
    const at::Tensor out = saved[3];
    context->save_for_backward(std::move(saved));
    context->saved_data["plan"] = c10::IValue::make_capsule(holder);
    context->saved_data["scale"] = scale;
    context->saved_data["tiles"] = tiles;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto saved = context->get_saved_variables();
    const auto holder = context->saved_data["plan"].toCapsule();
    const auto differentiate =
        context->saved_data["tiles"].toBool() ? tiled_attention_backward : flash_attention_backward;
    const AttentionGradients gradients =
        differentiate(upstream[0], saved[0], saved[1], saved[2], at::TensorList(saved).slice(3),
                      static_cast<const PlanHolder&>(*holder).plan, context->saved_data["scale"].toDouble());
    return {gradients.q, gradients.k, gradients.v, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionPlan& plan,
                     std::optional<double> scale) {
  return Attention::apply(q, k, v, c10::make_intrusive<PlanHolder>(plan),
                          scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3)))));
}

at::Tensor attention_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const at::Tensor& mask, std::optional<double> scale) {
  const auto optional_mask = mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
  return at::scaled_dot_product_attention(q, k, v, optional_mask, 0, false, scale,
                                          /*enable_gqa=*/q.size(1) != k.size(1));
}

}  // namespace lora
