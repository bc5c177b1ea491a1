#include <ATen/ATen.h>

#include <cmath>

#include "adapter/dropout.h"
#include "adapter/methods.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char *kDownWeight = "bottleneck_down.weight", *kDownBias = "bottleneck_down.bias",
                     *kUpWeight = "bottleneck_up.weight", *kUpBias = "bottleneck_up.bias";

/// A sequential adapter behind a frozen projection: y + U relu(D y + d) + u, where y is what the site
/// computed. Houlsby et al. 2019 (arXiv:1902.00751), figure 2, without its norm; Pfeiffer et al. 2021
/// (arXiv:2005.00247).
///
/// The branch is computed in the tensors' dtype. y [..., out]; D [r, out], d [r], U [out, r], u [out],
/// trained in float32; r is MethodConfig::rank. U and u start at zero, so that the start is the base. alpha
/// has no meaning here.
class BottleneckMethod : public Method {
 public:
  std::string name() const override { return "bottleneck"; }
  bool is_additive() const override { return false; }
  bool is_mergeable() const override { return false; }

  SiteTensors create(const Target& target, const MethodConfig& config, const at::Tensor&,
                     at::Generator& generator) const override {
    if (target.slice) {
      throw Error(ExitCode::usage, cat("a bottleneck adapter acts on whole outputs, not on ", target.name()),
                  cat("give ", target.site->path));
    }
    const auto options = at::dtype(at::kFloat);
    const double bound =
        1 / std::sqrt(static_cast<double>(target.out()));  // Kaiming-uniform with a = sqrt(5)
    return {{kDownWeight, at::empty({config.rank, target.out()}, options).uniform_(-bound, bound, generator)},
            {kDownBias, at::zeros({config.rank}, options)},
            {kUpWeight, at::zeros({target.out(), config.rank}, options)},
            {kUpBias, at::zeros({target.out()}, options)}};
  }

  at::Tensor forward(const SiteValues& values, const Target&, const SiteTensors& tensors,
                     const MethodConfig& config, bool training) const override {
    const at::Tensor y = values.output.to(tensors.at(kDownWeight).scalar_type());
    const at::Tensor down = at::linear(y, tensors.at(kDownWeight), tensors.at(kDownBias)).relu();
    const at::Tensor inner = with_dropout(down, config.dropout, training);
    return (y + at::linear(inner, tensors.at(kUpWeight), tensors.at(kUpBias)))
        .to(values.output.scalar_type());
  }

  at::Tensor effective_weight(const at::Tensor&, const Target& target, const SiteTensors&,
                              const MethodConfig&) const override {
    throw Error(
        ExitCode::mismatch,
        cat("the bottleneck adapter at \"", target.name(),
            "\" is no update of a weight: it is a non-linear layer behind it, which cannot be merged"),
        "use it unmerged, or train low-rank updates (--method lora), which merge");
  }

  std::map<std::string, std::vector<std::int64_t>> shapes(const Target& target,
                                                          const MethodConfig& config) const override {
    return {{kDownWeight, {config.rank, target.out()}},
            {kDownBias, {config.rank}},
            {kUpWeight, {target.out(), config.rank}},
            {kUpBias, {target.out()}}};
  }
};

}  // namespace

const Method& bottleneck_method() {
  static const BottleneckMethod method;
  return method;
}

}  // namespace lora
