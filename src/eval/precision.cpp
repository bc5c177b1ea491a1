#include "eval/precision.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr double kWorthwhile = 1.3;
constexpr std::int64_t kRows = 256;
constexpr int kRepeats = 5;

/// Fastest of some products [rows, width] x [width, 4 width].
double product_seconds(at::ScalarType type, std::int64_t width, at::Device device) {
  const auto options = at::dtype(type).device(device);
  const at::Tensor x = at::ones({kRows, width}, options), W = at::ones({4 * width, width}, options);
  double best = 1e9;
  for (int i = 0; i < kRepeats; ++i) {
    const double start = monotonic_seconds();
    at::linear(x, W).select(0, 0).select(0, 0).item<double>();
    best = std::min(best, monotonic_seconds() - start);
  }
  return best;
}

bool is_faster(const Program& program) {
  const at::NoGradGuard no_grad;
  const std::int64_t width = std::max<std::int64_t>(64, program.info().hidden_size);
  const double ratio = product_seconds(at::kFloat, width, program.device()) /
                       product_seconds(at::kBFloat16, width, program.device());
  const bool worthwhile = ratio >= kWorthwhile;
  log_info("model", "bf16 products run ", fixed(ratio, 2),
           " times as fast as fp32: ", worthwhile ? "bf16" : "fp32", " is used");
  return worthwhile;
}

}  // namespace

void choose_precision(Program& program, const std::string& precision) {
  const bool bf16 = precision == "bf16" || (precision == "auto" && is_faster(program));
  program.use_precision(bf16 ? at::kBFloat16 : precision == "fp16" ? at::kHalf : at::kFloat);
}

}  // namespace lora
