#include "adapter/methods.h"

#include <cmath>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

using MethodAccessor = const Method& (*)();

constexpr MethodAccessor kMethods[] = {lora_method, dora_method, bottleneck_method};

}  // namespace

namespace {

/// What alpha is divided by.
double divisor(const MethodConfig& config) {
  const auto r = static_cast<double>(config.rank);
  return config.rank_stabilised ? std::sqrt(r) : r;
}

}  // namespace

double MethodConfig::scale() const { return alpha / divisor(*this); }

void MethodConfig::set_scale(double scale) { alpha = scale * divisor(*this); }

const Method& find_method(const std::string& name) {
  for (const MethodAccessor method : kMethods) {
    if (method().name() == name) return method();
  }
  const auto nearest = nearest_names(name, method_names());
  throw Error(ExitCode::usage, cat("unknown method \"", printable(name), "\""),
              cat("use ", join(nearest.empty() ? method_names() : nearest, " or ")));
}

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const MethodAccessor method : kMethods) names.push_back(method().name());
  return names;
}

}  // namespace lora
