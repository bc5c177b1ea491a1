#include "config/values.h"

#include <array>
#include <charconv>
#include <cmath>

#include "lora/base/text.h"

namespace lora {
namespace {

/// Reads all of `text` or nothing.
template <class Number>
OptionValue parse_number(const std::string& text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stopped == end ? OptionValue(number) : OptionValue();
}

OptionValue parse_flag(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return {};
}

struct ValueText {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return cat(value); }
  std::string operator()(double value) const { return number_text(value); }
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(const std::vector<std::string>& value) const { return join(value, " "); }
};

}  // namespace

std::string number_text(double value) {
  std::array<char, 64> buffer{};
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

std::string value_text(const OptionValue& value) { return std::visit(ValueText(), value); }

std::string kind_text(OptionKind kind) {
  switch (kind) {
    case OptionKind::flag:
      return "true or false";
    case OptionKind::whole:
      return "a whole number";
    case OptionKind::number:
      return "a finite number";
    case OptionKind::list:
      return "a list of texts";
    case OptionKind::text:
    case OptionKind::unset:
      break;
  }
  return "a text";
}

OptionValue parse_value(OptionKind kind, const std::string& text) {
  switch (kind) {
    case OptionKind::flag:
      return parse_flag(text);
    case OptionKind::whole:
      return parse_number<std::int64_t>(text);
    case OptionKind::number: {
      const OptionValue value = parse_number<double>(text);
      return value.index() != 0 && std::isfinite(std::get<double>(value)) ? value : OptionValue();
    }
    case OptionKind::list:
      return std::vector<std::string>{text};
    case OptionKind::text:
    case OptionKind::unset:
      break;
  }
  return text;
}

}  // namespace lora
