#include "merge/task_vectors.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <numeric>

#include "lora/base/error.h"

namespace lora {
namespace {

/// The floor(density n) elements that are largest in size, zero elsewhere.
at::Tensor trimmed(const at::Tensor& update, double density) {
  if (density >= 1) return update;
  const at::Tensor flat = update.flatten();
  const auto kept = static_cast<std::int64_t>(density * static_cast<double>(flat.numel()));
  const at::Tensor places = std::get<1>(at::topk(flat.abs(), kept, 0, /*largest=*/true, /*sorted=*/false));
  return at::zeros_like(flat).index_copy_(0, places, flat.index_select(0, places)).view(update.sizes());
}

/// Each element kept with probability density, and then divided by it.
at::Tensor dropped(const at::Tensor& update, double density, at::Generator& generator) {
  if (density >= 1) return update;
  return at::empty_like(update).bernoulli_(density, generator).mul_(update).div_(density);
}

/// Mean over the tasks that agree with the elected sign; TIES, steps 2 and 3.
at::Tensor disjoint_mean(const std::vector<at::Tensor>& tasks, const std::vector<double>& weights) {
  at::Tensor sum = at::zeros_like(tasks.front());
  for (const at::Tensor& task : tasks) sum.add_(task);
  const at::Tensor elected = at::where(sum.ge(0), 1.0, -1.0).to(sum.scalar_type());
  at::Tensor merged = at::zeros_like(sum), count = at::zeros_like(sum);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const at::Tensor agrees = tasks[i].sign().eq(elected).to(sum.scalar_type());
    merged.add_(tasks[i] * agrees, weights[i]);
    count.add_(agrees);
  }
  return merged.div_(count.clamp_min_(1));
}

}  // namespace

bool is_linear(const TaskMerge& merge) { return merge.method == "sum" || merge.method == "average"; }

std::vector<double> task_factors(const TaskMerge& merge, const std::vector<double>& weights) {
  if (merge.method != "average") return weights;
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (sum == 0) {
    throw Error(ExitCode::usage, "the weights of an average sum to zero",
                "use --method sum, or other weights");
  }
  std::vector<double> shares = weights;
  for (double& share : shares) share /= sum;
  return shares;
}

at::Tensor merge_task_vectors(const TaskMerge& merge, const std::vector<at::Tensor>& updates,
                              std::vector<double> factors, at::Generator& generator) {
  const at::NoGradGuard no_grad;
  const bool drops = merge.method.starts_with("dare"), trims = !drops && !is_linear(merge);
  std::vector<at::Tensor> tasks;
  for (std::size_t i = 0; i < updates.size(); ++i) {
    at::Tensor task = factors[i] < 0 ? -updates[i] : updates[i];
    factors[i] = std::abs(factors[i]);
    if (drops) task = dropped(task, merge.density, generator);
    if (trims) task = trimmed(task, merge.density);
    tasks.push_back(task);
  }
  if (merge.method.ends_with("ties")) return disjoint_mean(tasks, factors);
  at::Tensor sum = at::zeros_like(tasks.front());
  for (std::size_t i = 0; i < tasks.size(); ++i) sum.add_(tasks[i], factors[i]);
  return sum;
}

}  // namespace lora
