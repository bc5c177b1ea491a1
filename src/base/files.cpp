#include "lora/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <atomic>

#include "base/file_descriptor.h"

namespace lora {
namespace {

constexpr std::size_t kWriteChunk = std::size_t{1} << 30;  ///< Linux writes at most 2 GiB at once

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

/// A name in the same folder that no other process or thread uses.
std::filesystem::path temporary_beside(const std::filesystem::path& path) {
  static std::atomic<unsigned> count{0};
  return folder_of(path) / cat(".", path.filename().string(), ".", ::getpid(), ".", count++, ".tmp");
}

void write_all(int descriptor, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), std::min(bytes.size(), kWriteChunk));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_errno("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void check_free_space(const std::filesystem::path& path, std::size_t bytes) {
  struct statvfs info{};
  if (::statvfs(folder_of(path).c_str(), &info) != 0) throw_errno("look at the folder of", path);
  const std::uint64_t free = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  if (free >= bytes) return;
  throw Error(ExitCode::io,
              cat("no room for \"", path.string(), "\": it needs ", human_bytes(bytes), ", ", human_bytes(free), " are free"),
              "free space there, or choose another place");
}

void sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.is_open() || ::fsync(descriptor.get()) != 0) throw_errno("sync the folder", folder);
}

/// The mode that a plain open() would give under the process's umask.
mode_t usual_mode() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

/// Removes a temporary unless it was renamed.
class Temporary {
 public:
  explicit Temporary(std::filesystem::path path) : path_(std::move(path)) {}
  ~Temporary() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void rename_to(const std::filesystem::path& target) {
    if (::rename(path_.c_str(), target.c_str()) != 0) throw_errno("write", target);
    path_.clear();
  }

 private:
  std::filesystem::path path_;
};

}  // namespace

std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) throw_errno("read", path);
  std::string bytes;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("read", path);
    if (count == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(count));
    if (bytes.size() > max_bytes) {
      throw Error(ExitCode::file, cat("\"", path.string(), "\" is larger than the ", human_bytes(max_bytes),
                                      " that such a file may have"));
    }
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  check_free_space(path, bytes.size());
  Temporary temporary(temporary_beside(path));
  const FileDescriptor file(::open(temporary.path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open()) throw_errno("write", path);
  write_all(file.get(), bytes, path);
  if (::fchmod(file.get(), usual_mode()) != 0 || ::fsync(file.get()) != 0) throw_errno("write", path);
  temporary.rename_to(path);
  sync_folder(folder_of(path));
}

void ensure_writable_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw_errno("create the folder", folder, error.value());
  const Temporary probe(temporary_beside(folder / "probe"));
  const FileDescriptor file(::open(probe.path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open()) throw_errno("write into the folder", folder);
}

LineAppender::LineAppender(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)), path_(path) {
  if (descriptor_ < 0) throw_errno("write", path);
}

LineAppender::~LineAppender() { ::close(descriptor_); }

void LineAppender::append(std::string_view line) { write_all(descriptor_, cat(line, "\n"), path_); }

}  // namespace lora
