#include "eval/latency_shapes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

bool parse_whole(const std::string& text, std::int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::vector<ModelInputs> inputs_of_shapes(const std::vector<std::string>& entries, const LoadedModel& model) {
  std::vector<ModelInputs> shapes;
  const ModelInfo& info = model.program.info();
  for (const std::string& entry : entries) {
    const std::vector<std::string> parts = split(entry, 'x');
    std::int64_t rows = 0, time = 0;
    const bool fits = parts.size() == 2 && parse_whole(parts[0], rows) && parse_whole(parts[1], time) &&
                      rows > 0 && time > 0 && (info.context_length == 0 || time <= info.context_length);
    if (!fits) {
      throw Error(
          ExitCode::usage,
          cat("--latency-shapes: \"", printable(entry), "\" is no shape that fits the model"),
          cat("give ROWSxTOKENS, for example 1x128",
              info.context_length > 0 ? cat("; the context has ", info.context_length, " tokens") : ""));
    }
    const auto options = at::dtype(at::kLong).device(model.program.device());
    const at::Tensor ids = at::arange(1, rows * time + 1, options)
                               .remainder(std::max<std::int64_t>(info.vocab_size, 2))
                               .reshape({rows, time});
    shapes.push_back({ids, at::ones_like(ids), {}});
  }
  return shapes;
}

}  // namespace lora
