#pragma once

#include <exception>
#include <string>

#include "lora/base/error.h"

namespace lora {

/// How a program ends that could not do its job.
struct Failure {
  ExitCode code = ExitCode::internal;
  std::string message, hint;
};

/// Exit code and message of any exception; LibTorch's without backtraces.
Failure describe_failure(std::exception_ptr exception);

/// "error: ...", "hint: ..." without control characters, a message's further lines indented.
std::string failure_text(const Failure& failure);

}  // namespace lora
