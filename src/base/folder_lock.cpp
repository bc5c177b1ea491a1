#include <fcntl.h>
#include <sys/file.h>

#include "base/file_writing.h"
#include "lora/base/files.h"

namespace lora {
namespace {

std::string holder_of(int descriptor) {
  char text[32] = {};
  const ssize_t count = ::pread(descriptor, text, sizeof text - 1, 0);
  return count > 0 ? cat("process ", printable(trim(text))) : "another process";
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ".lock";
  FileDescriptor file(uninterrupted([&] { return disk::open(path, O_RDWR | O_CREAT, 0666); }));
  if (!file.is_open()) throw_errno("write", path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw_errno("lock", path);
    throw Error(ExitCode::locked, cat("\"", folder.string(), "\" is in use by ", holder_of(file.get())),
                "wait for it, or choose another folder");
  }
  const std::string pid = cat(::getpid(), "\n");
  if (uninterrupted([&] { return disk::ftruncate(file.get(), 0); }) != 0) throw_errno("write", path);
  write_all(file.get(), pid, path);
  descriptor_ = file.release();
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace lora
