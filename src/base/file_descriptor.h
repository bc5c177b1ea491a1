#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

/// An open file, closed when it goes out of scope.
class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;

  bool is_open() const { return number_ >= 0; }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

/// io error "cannot WHAT "PATH": reason of errno".
[[noreturn]] inline void throw_errno(const char* what, const std::filesystem::path& path, int error = errno) {
  std::string hint;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG)
    hint = "free space there, or choose another place";
  if (error == EACCES || error == EPERM || error == EROFS)
    hint = "check the permissions, or choose another place";
  throw Error(ExitCode::io, cat("cannot ", what, " \"", path.string(), "\": ", std::strerror(error)), hint);
}

}  // namespace lora
