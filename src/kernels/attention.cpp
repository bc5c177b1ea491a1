#include "lora/kernels/attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <functional>
#include <utility>

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

/// [batch, heads, time, d] laid out as [batch, time, heads, d]: where projections want it.
at::Tensor empty_by_time(const at::Tensor& like) {
  return at::empty({like.size(0), like.size(2), like.size(1), like.size(3)}, like.options()).transpose(1, 2);
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q,
                            const at::Tensor& k, const at::Tensor& v,
                            const c10::intrusive_ptr<PlanHolder>& holder, std::optional<double> scale) {
    const AttentionPlan& plan = holder->plan;
    const bool whole =
        plan.rows.size() == 1 && plan.rows[0].size() == 1 && plan.rows[0][0].queries == q.size(2);
    at::Tensor out = whole ? at::Tensor() : empty_by_time(q);
    torch::autograd::variable_list saved = {q, k, v, out};
    for_each_block(plan, q.size(0), [&](BatchRows rows, const AttentionBlock& block) {
      auto [result, normaliser] = at::_scaled_dot_product_flash_attention_for_cpu(
          part(q, rows, block.query, block.queries), part(k, rows, block.key, block.keys),
          part(v, rows, block.key, block.keys), /*dropout_p=*/0, block.kind == Kind::causal,
          mask_of(plan, rows, block), scale);
      if (whole)
        out = result;
      else
        part(out, rows, block.query, block.queries).copy_(result);
      saved.push_back(normaliser);
    });
    saved[3] = out;
    context->save_for_backward(std::move(saved));
    context->saved_data["plan"] = c10::IValue::make_capsule(holder);
    context->saved_data["scale"] = scale;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3], &dout = upstream[0];
    const auto holder = context->saved_data["plan"].toCapsule();
    const AttentionPlan& plan = static_cast<const PlanHolder&>(*holder).plan;
    const auto scale = context->saved_data["scale"].toOptional<double>();
    // Keys may be seen by several blocks; queries belong to one.
    at::Tensor dq = empty_by_time(q), dk = empty_by_time(k).zero_(), dv = empty_by_time(v).zero_();
    std::size_t number = 4;
    for_each_block(plan, q.size(0), [&](BatchRows rows, const AttentionBlock& block) {
      const auto queries = [&](const at::Tensor& all) { return part(all, rows, block.query, block.queries); };
      const auto keys = [&](const at::Tensor& all) { return part(all, rows, block.key, block.keys); };
      const auto [one, two, three] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
          queries(dout), queries(q), keys(k), keys(v), queries(out), saved[number++], /*dropout_p=*/0,
          block.kind == Kind::causal, mask_of(plan, rows, block), scale);
      queries(dq).copy_(one);
      keys(dk).add_(two);
      keys(dv).add_(three);
    });
    return {dq, dk, dv, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionPlan& plan,
                     std::optional<double> scale) {
  return Attention::apply(q, k, v, c10::make_intrusive<PlanHolder>(plan), scale);
}

at::Tensor attention_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const at::Tensor& mask, std::optional<double> scale) {
  const auto optional_mask = mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
  return at::scaled_dot_product_attention(q, k, v, optional_mask, 0, false, scale,
                                          /*enable_gqa=*/q.size(1) != k.size(1));
}

}  // namespace lora
