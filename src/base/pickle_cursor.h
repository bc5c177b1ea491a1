#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace lora {

/// A place in a pickle, whose operations are read one after the other: they do not jump. Errors are file
/// errors that begin with `place`, give the byte, and say `help`.
class PickleCursor {
 public:
  PickleCursor(std::string_view pickle, std::string place, std::string help)
      : pickle_(pickle), place_(std::move(place)), help_(std::move(help)) {}

  std::string_view take(std::uint64_t size);
  /// Up to the next end of a line, which is passed.
  std::string_view line();
  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  [[noreturn]] void fail(const std::string& what) const;

 private:
  std::string_view pickle_;
  std::string place_, help_;
  std::uint64_t position_ = 0;
};

}  // namespace lora
