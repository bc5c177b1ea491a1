#include <c10/util/Exception.h>

#include <filesystem>
#include <new>

#include "programs/failure.h"
#include "support/catch.h"

using namespace lora;

namespace {

template <class Exception>
Failure failure_of(const Exception& exception) {
  return describe_failure(std::make_exception_ptr(exception));
}

Failure torch_failure(const char* message) {
  try {
    TORCH_CHECK(false, message);
  } catch (...) {
    return describe_failure(std::current_exception());
  }
}

}  // namespace

TEST_CASE("failures: our own errors keep code, message and hint") {
  const Failure failure = failure_of(Error(ExitCode::data, "line 3", "correct it"));
  CHECK(failure.code == ExitCode::data);
  CHECK(failure_text(failure) == "error: line 3\nhint: correct it\n");
}

TEST_CASE("failures: memory that ran out is told from defects") {
  CHECK(failure_of(std::bad_alloc()).code == ExitCode::memory);
  CHECK(torch_failure("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes").code ==
        ExitCode::memory);
  CHECK(torch_failure("CUDA out of memory. Tried to allocate 2 GiB").code == ExitCode::memory);
}

TEST_CASE("failures: the file system's exceptions are io errors") {
  const std::filesystem::filesystem_error error("cannot rename", "a",
                                                std::make_error_code(std::errc::io_error));
  CHECK(failure_of(error).code == ExitCode::io);
}

TEST_CASE("failures: anything else is a defect to report, without a backtrace") {
  const Failure torch = torch_failure("mat1 and mat2 shapes cannot be multiplied\nsecond line");
  CHECK(torch.code == ExitCode::internal);
  CHECK(torch.message == "LibTorch: mat1 and mat2 shapes cannot be multiplied");
  CHECK(torch.hint.find("report") != std::string::npos);
  CHECK(failure_of(std::logic_error("x")).code == ExitCode::internal);
  CHECK(failure_of(3).code == ExitCode::internal);
}

TEST_CASE("failures: control characters are stripped and further lines indented") {
  const Failure failure{ExitCode::mismatch, "one\x1b[31m\ntwo\n  three", "a\nb"};
  CHECK(failure_text(failure) == "error: one[31m\n  two\n  three\nhint: a b\n");
}
