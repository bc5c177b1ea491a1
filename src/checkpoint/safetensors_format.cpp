#include "checkpoint/safetensors_format.h"

#include <algorithm>
#include <iterator>

namespace lora {
namespace {

struct DtypeName {
  at::ScalarType type;
  std::string_view name;
};

/// In the order of their tensors in a file.
constexpr DtypeName kDtypes[] = {
    {at::kLong, "I64"}, {at::kDouble, "F64"}, {at::kFloat, "F32"}, {at::kInt, "I32"}, {at::kBFloat16, "BF16"},
    {at::kHalf, "F16"}, {at::kShort, "I16"},  {at::kChar, "I8"},   {at::kByte, "U8"}, {at::kBool, "BOOL"}};

const DtypeName* find(at::ScalarType type) {
  return std::find_if(std::begin(kDtypes), std::end(kDtypes),
                      [&](const auto& each) { return each.type == type; });
}

}  // namespace

std::string_view dtype_name(at::ScalarType type) {
  const DtypeName* found = find(type);
  return found == std::end(kDtypes) ? std::string_view() : found->name;
}

std::size_t dtype_order(at::ScalarType type) {
  return static_cast<std::size_t>(find(type) - std::begin(kDtypes));
}

std::optional<at::ScalarType> dtype_of(std::string_view name) {
  const auto* found = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                   [&](const auto& each) { return each.name == name; });
  if (found == std::end(kDtypes)) return std::nullopt;
  return found->type;
}

}  // namespace lora
