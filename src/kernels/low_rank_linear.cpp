#include "lora/kernels/low_rank_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <bit>

namespace lora {
namespace {

at::Tensor rows_of(const at::Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}); }

/// Rows of products in another type come in multiples of this, fewer in powers of two: LibTorch's library for
/// them makes and keeps code and scratch memory for each number of rows that it meets.
constexpr std::uint64_t kRowStep = 128;

std::int64_t padded_rows(std::int64_t count) {
  const auto rows = static_cast<std::uint64_t>(count);
  return static_cast<std::int64_t>(rows < kRowStep ? std::bit_ceil(rows)
                                                   : (rows + kRowStep - 1) / kRowStep * kRowStep);
}

at::Tensor narrowed(const at::Tensor& rows, const at::TensorOptions& options) {
  const std::int64_t count = rows.size(0), padded = padded_rows(count);
  at::Tensor narrow = at::empty({padded, rows.size(1)}, options);
  narrow.narrow(0, 0, count).copy_(rows);
  narrow.narrow(0, count, padded - count).zero_();
  return narrow;
}

/// Rows in the types that products want them in, each cast once.
class CastRows {
 public:
  explicit CastRows(const at::Tensor& rows) : rows_(rows) {}

  /// rows [n, in] times W [out, in], in rows' type.
  at::Tensor times(const at::Tensor& W) {
    if (W.scalar_type() == rows_.scalar_type()) return at::linear(rows_, W);
    if (!narrow_.defined() || narrow_.scalar_type() != W.scalar_type())
      narrow_ = narrowed(rows_, W.options());
    return at::linear(narrow_, W).narrow(0, 0, rows_.size(0)).to(rows_.scalar_type());
  }

 private:
  at::Tensor rows_, narrow_;
};

struct ConvertedProduct : torch::autograd::Function<ConvertedProduct> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& rows,
                            const at::Tensor& W) {
    context->save_for_backward({W});
    return CastRows(rows).times(W);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    return {CastRows(upstream[0]).times(context->get_saved_variables()[0].t()), at::Tensor()};
  }
};

/// sum += dy W.
void add_product(at::Tensor& sum, const at::Tensor& dy, const at::Tensor& W) {
  if (!sum.defined())
    sum = CastRows(dy).times(W.t());
  else if (dy.scalar_type() == W.scalar_type())
    sum.addmm_(dy, W);
  else
    sum.add_(CastRows(dy).times(W.t()));
}

/// The A's of adapted projections below each other [sum of ranks, in], and where each begins.
class Stacked {
 public:
  explicit Stacked(const std::vector<Projection>& projections) {
    std::vector<at::Tensor> parts;
    for (const Projection& each : projections) {
      begins_.push_back(rank_);
      if (!each.is_adapted()) continue;
      parts.push_back(each.A);
      rank_ += each.A.size(0);
    }
    if (!parts.empty()) A = parts.size() == 1 ? parts[0] : at::cat(parts);
  }

  bool empty() const { return !A.defined(); }

  /// A x of rows [n, in], all below each other: [n, sum of ranks].
  at::Tensor products(const at::Tensor& rows) const { return empty() ? at::Tensor() : at::mm(rows, A.t()); }

  /// The columns [n, r] of number i's rank in [n, sum of ranks].
  at::Tensor columns(const at::Tensor& all, std::size_t i) const {
    return all.narrow(1, begins_[i], rank_of(i));
  }
  /// Its rows in [sum of ranks, in].
  at::Tensor rows(const at::Tensor& all, std::size_t i) const {
    return all.narrow(0, begins_[i], rank_of(i));
  }

  at::Tensor A;

 private:
  std::int64_t rank_of(std::size_t i) const {
    return (i + 1 < begins_.size() ? begins_[i + 1] : rank_) - begins_[i];
  }

  std::vector<std::int64_t> begins_;
  std::int64_t rank_ = 0;
};

/// Where a projection's tensors stand among those that autograd sees; 0, where x stands, for none.
struct Slot {
  std::size_t W = 0, b = 0, A = 0, B = 0;
  double s = 1;

  Projection of(at::TensorList tensors) const {
    const auto at = [&](std::size_t place) { return place ? tensors[place] : at::Tensor(); };
    return {at(W), at(b), at(A), at(B), s};
  }
};

struct Slots : torch::CustomClassHolder {
  std::vector<Slot> all;

  std::vector<Projection> of(at::TensorList tensors) const {
    std::vector<Projection> projections;
    for (const Slot& slot : all) projections.push_back(slot.of(tensors));
    return projections;
  }
};

/// All y, given h = A x.
std::vector<at::Tensor> outputs_of(const at::Tensor& x, const std::vector<Projection>& projections,
                                   const Stacked& stacked, const at::Tensor& h) {
  CastRows cast(rows_of(x));
  std::vector<at::Tensor> outputs;
  std::vector<std::int64_t> sizes = x.sizes().vec();
  for (std::size_t i = 0; i < projections.size(); ++i) {
    const Projection& each = projections[i];
    at::Tensor y = cast.times(each.W);
    if (each.b.defined()) y.add_(each.b);
    if (each.is_adapted()) y.addmm_(stacked.columns(h, i), each.B.t(), 1, each.s);
    sizes.back() = each.W.size(0);
    outputs.push_back(at::_unsafe_view(y, sizes));  // a graph may add to it in place, which views refuse
  }
  return outputs;
}

struct LowRankLinears : torch::autograd::Function<LowRankLinears> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                at::TensorList tensors,
                                                const c10::intrusive_ptr<Slots>& slots) {
    const std::vector<Projection> projections = slots->of(tensors);
    const Stacked stacked(projections);
    const at::Tensor h = stacked.products(rows_of(tensors[0]));
    const auto outputs = outputs_of(tensors[0], projections, stacked, h);
    keep(context, tensors, slots, h);
    return outputs;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto kept = context->get_saved_variables();
    const auto slots = c10::static_intrusive_pointer_cast<Slots>(context->saved_data["slots"].toCapsule());
    const auto trained = context->saved_data["trained"].toBoolList();
    const at::Tensor &rows = kept[0], &h = kept.back();
    const std::vector<Projection> projections = slots->of(kept);
    const Stacked stacked(projections);
    const at::Tensor dh = stacked.empty() ? at::Tensor() : at::zeros_like(h);
    torch::autograd::variable_list gradients(trained.size() + 1);  // the last: of the slots
    at::Tensor dx;
    for (std::size_t i = 0; i < projections.size(); ++i) {
      if (!upstream[i].defined()) continue;
      const Projection& each = projections[i];
      const Slot& slot = slots->all[i];
      const at::Tensor dy = rows_of(upstream[i]);
      if (trained[0]) add_product(dx, dy, each.W);
      if (slot.b && trained[slot.b]) gradients[slot.b] = dy.sum(0);
      if (!each.is_adapted()) continue;
      at::Tensor mine = stacked.columns(dh, i);
      at::mm_out(mine, dy, each.B).mul_(each.s);
      if (trained[slot.B]) gradients[slot.B] = at::mm(stacked.columns(h, i).t(), dy).mul_(each.s).t();
    }
    if (rows.defined()) {
      const at::Tensor dA = at::mm(dh.t(), rows);
      for (std::size_t i = 0; i < projections.size(); ++i) {
        const std::size_t place = slots->all[i].A;
        if (place && trained[place]) gradients[place] = stacked.rows(dA, i);
      }
    }
    if (dx.defined()) {
      if (!stacked.empty()) dx.addmm_(dh, stacked.A);
      gradients[0] = dx.view(context->saved_data["sizes"].toIntVector());
    }
    return gradients;
  }

 private:
  /// What the backward pass reads: rows only if an A is trained, no biases.
  static void keep(torch::autograd::AutogradContext* context, at::TensorList tensors,
                   const c10::intrusive_ptr<Slots>& slots, const at::Tensor& h) {
    std::vector<bool> trained;
    for (const at::Tensor& each : tensors) trained.push_back(each.requires_grad());
    torch::autograd::variable_list kept = tensors.vec();
    bool trains_a = false;
    for (const Slot& slot : slots->all) {
      if (slot.b) kept[slot.b] = at::Tensor();
      trains_a |= slot.A && trained[slot.A];
    }
    kept[0] = trains_a ? rows_of(tensors[0]) : at::Tensor();
    kept.push_back(h);
    context->save_for_backward(std::move(kept));
    context->saved_data["slots"] = c10::IValue::make_capsule(slots);
    context->saved_data["trained"] = trained;
    context->saved_data["sizes"] = tensors[0].sizes().vec();
    context->set_materialize_grads(false);
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

std::vector<at::Tensor> low_rank_linears(const at::Tensor& x, const std::vector<Projection>& projections) {
  if (!at::GradMode::is_enabled()) {
    const Stacked stacked(projections);
    return outputs_of(x, projections, stacked, stacked.products(rows_of(x)));
  }
  if (projections.empty()) return {};
  torch::autograd::variable_list tensors = {x};
  const auto placed = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return std::size_t{0};
    tensors.push_back(tensor);
    return tensors.size() - 1;
  };
  auto slots = c10::make_intrusive<Slots>();
  for (const auto& [W, b, A, B, s] : projections)
    slots->all.push_back({placed(W), placed(b), placed(A), placed(B), s});
  return LowRankLinears::apply(at::TensorList(tensors), slots);
}

at::Tensor low_rank_linear_reference(const at::Tensor& x, const Projection& projection) {
  const auto& [W, b, A, B, s] = projection;
  const at::Tensor y =
      at::linear(x, W.to(x.scalar_type()), b.defined() ? std::optional<at::Tensor>(b) : std::nullopt);
  return projection.is_adapted() ? y + at::linear(at::linear(x, A) * s, B) : y;
}

}  // namespace lora
