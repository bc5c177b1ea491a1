#pragma once

#include <functional>
#include <string>

#include "lora/base/error.h"
#include "support/catch.h"

namespace lora::test {

/// The error that `action` throws; fails the test if it throws none.
inline Error error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no lora::Error was thrown");
  return Error(ExitCode::internal, "");
}

/// Requires that `action` fails with `code` and that its message holds every one of `parts`.
inline void require_error(const std::function<void()>& action, ExitCode code,
                          std::initializer_list<std::string> parts = {}) {
  const Error error = error_of(action);
  INFO(error.what());
  REQUIRE(static_cast<int>(error.code()) == static_cast<int>(code));
  for (const std::string& part : parts) {
    INFO("expected: " << part);
    REQUIRE(std::string(error.what()).find(part) != std::string::npos);
  }
}

}  // namespace lora::test
