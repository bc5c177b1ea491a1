#include "programs/failure.h"

#include <c10/util/Exception.h>

#include <filesystem>

#include "lora/base/process.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char* kReport =
    "this is a defect of this program; please report it with the command line and the lines above";

Failure out_of_memory() {
  return {ExitCode::memory, "not enough memory",
          "try a smaller --batch-tokens or --max-length, or close other programs"};
}

Failure describe_torch(const c10::Error& error) {
  const std::string what = error.what_without_backtrace();
  return {ExitCode::internal, cat("LibTorch: ", what.substr(0, what.find('\n'))), kReport};
}

}  // namespace

Failure describe_failure(std::exception_ptr exception) {
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const Error& error) {
    return {error.code(), error.what(), error.hint()};
  } catch (const std::filesystem::filesystem_error& error) {
    return {ExitCode::io, error.what(), ""};
  } catch (const std::exception& error) {
    if (is_out_of_memory(error)) return out_of_memory();
    const auto* torch = dynamic_cast<const c10::Error*>(&error);
    return torch ? describe_torch(*torch) : Failure{ExitCode::internal, error.what(), kReport};
  } catch (...) {
    return {ExitCode::internal, "an unknown exception", kReport};
  }
}

std::string failure_text(const Failure& failure) {
  std::string text = "error: ";
  std::string_view indent;
  for (const std::string& line : split(failure.message, '\n')) {
    text += cat(line.starts_with(' ') ? "" : indent, printable(line), "\n");
    indent = "  ";
  }
  return failure.hint.empty() ? text : cat(text, "hint: ", printable(failure.hint), "\n");
}

}  // namespace lora
