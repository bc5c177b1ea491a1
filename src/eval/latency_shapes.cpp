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

std::string BatchShape::text() const { return cat(rows, " x ", tokens); }

std::vector<BatchShape> parse_shapes(const std::string& option, const std::vector<std::string>& entries,
                                     const LoadedModel& model, std::int64_t further) {
  std::vector<BatchShape> shapes;
  const std::int64_t context = model.program.info().context_length;
  for (const std::string& entry : entries) {
    const std::vector<std::string> parts = split(entry, 'x');
    BatchShape shape;
    const bool fits = parts.size() == 2 && parse_whole(parts[0], shape.rows) &&
                      parse_whole(parts[1], shape.tokens) && shape.rows > 0 && shape.tokens > 0 &&
                      (context == 0 || shape.tokens + further <= context);
    if (!fits) {
      throw Error(ExitCode::usage,
                  cat(option, ": \"", printable(entry), "\" is no shape that fits the model"),
                  cat("give ROWSxTOKENS, for example 1x128",
                      context > 0 ? cat("; the context has ", context, " tokens") : "",
                      further > 0 ? cat(", ", further, " more are written") : ""));
    }
    shapes.push_back(shape);
  }
  return shapes;
}

std::vector<TokenIds> rows_of_shape(const BatchShape& shape, const LoadedModel& model) {
  const auto vocabulary = std::max<std::int64_t>(model.program.info().vocab_size, 2);
  std::vector<TokenIds> rows(static_cast<std::size_t>(shape.rows));
  std::int64_t next = 0;
  for (TokenIds& row : rows) {
    for (std::int64_t t = 0; t < shape.tokens; ++t)
      row.push_back(static_cast<std::int32_t>(++next % vocabulary));
  }
  return rows;
}

ModelInputs inputs_of_shape(const BatchShape& shape, const LoadedModel& model) {
  std::vector<std::int64_t> flat;
  for (const TokenIds& row : rows_of_shape(shape, model)) flat.insert(flat.end(), row.begin(), row.end());
  const at::Tensor ids =
      at::tensor(flat, at::kLong).reshape({shape.rows, shape.tokens}).to(model.program.device());
  return {ids, at::ones_like(ids), {}};
}

}  // namespace lora
