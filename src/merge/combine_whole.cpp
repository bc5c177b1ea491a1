#include "merge/combine_whole.h"

#include <ATen/ATen.h>

#include "adapter/saved_modules.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

struct HeldWeight {
  at::Tensor value;
  double factor;
  const CombineSource* holder;
};

std::map<std::string, std::vector<HeldWeight>> holders(const std::vector<CombineSource>& sources,
                                                       const std::vector<double>& factors) {
  std::map<std::string, std::vector<HeldWeight>> held;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    for (const auto& [path, value] : sources[i].whole) held[path].push_back({value, factors[i], &sources[i]});
  }
  return held;
}

void refuse_ambiguous(const std::map<std::string, std::vector<HeldWeight>>& held) {
  std::vector<std::string> lines;
  for (const auto& [path, copies] : held) {
    if (copies.size() == 1 && copies.front().factor == 1) continue;
    std::vector<std::string> names;
    for (const HeldWeight& copy : copies)
      names.push_back(cat(copy.holder->folder.path.string(), " (", copy.factor, ")"));
    lines.push_back(cat("  ", printable(path), " in ", join(names, ", ")));
  }
  if (lines.empty()) return;
  throw Error(
      ExitCode::mismatch,
      cat(lines.size(),
          " weights are held whole by several adapters, or by one whose factor is not 1: what "
          "their sum is depends on the base\n",
          join(lines, "\n")),
      "--whole average takes their weighted mean; --whole difference --model BASE adds what each changed");
}

at::Tensor average(const std::string& path, const std::vector<HeldWeight>& copies) {
  at::Tensor sum = at::zeros(copies.front().value.sizes(), at::kDouble);
  double factors = 0;
  for (const HeldWeight& copy : copies) {
    sum.add_(copy.value.to(at::kDouble), copy.factor);
    factors += copy.factor;
  }
  if (factors == 0)
    throw Error(ExitCode::usage,
                cat("the weights of the adapters that hold ", printable(path), " sum to zero"),
                "use --whole difference --model BASE, or other weights");
  return sum.div_(factors);
}

at::Tensor base_weight(const Program& base, const std::string& path) {
  for (const Weight& weight : base.weights()) {
    if (plain_path(base, weight.path) == path) return weight.value.to(at::kDouble);
  }
  throw Error(ExitCode::mismatch,
              cat("the base has no weight ", printable(path), ", which an adapter holds whole"),
              "give the base model that the adapters were trained on");
}

at::Tensor with_differences(const at::Tensor& base, const std::vector<HeldWeight>& copies) {
  at::Tensor sum = base.clone();
  for (const HeldWeight& copy : copies) sum.add_(copy.value.to(at::kDouble) - base, copy.factor);
  return sum;
}

}  // namespace

std::map<std::string, at::Tensor> combine_whole(const std::vector<CombineSource>& sources,
                                                const std::vector<double>& factors, const std::string& rule,
                                                const Program* base) {
  if (rule == "difference" && !base) {
    throw Error(ExitCode::usage, "--whole difference needs the base model", "give --model BASE.pt");
  }
  const auto held = holders(sources, factors);
  if (rule == "refuse") refuse_ambiguous(held);
  std::map<std::string, at::Tensor> combined;
  for (const auto& [path, copies] : held) {
    const at::Tensor& first = copies.front().value;
    if (rule == "refuse") combined[path] = first;
    if (rule == "average") combined[path] = average(path, copies).to(first.scalar_type());
    if (rule == "difference")
      combined[path] = with_differences(base_weight(*base, path), copies).to(first.scalar_type());
  }
  return combined;
}

}  // namespace lora
