#include "lora/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <atomic>

#include "base/file_descriptor.h"
#include "base/temporary_name.h"

namespace lora {
namespace {

constexpr std::size_t kWriteChunk = std::size_t{1} << 30;  ///< Linux writes at most 2 GiB at once
constexpr std::uint64_t kSendBytes = std::uint64_t{1} << 24;

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
              cat("no room for \"", path.string(), "\": it needs ", human_bytes(bytes), ", ",
                  human_bytes(free), " are free"),
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

PendingFile::PendingFile(std::filesystem::path target, std::uint64_t bytes)
    : target_(std::move(target)), path_(temporary_beside(target_)) {
  check_free_space(target_, bytes);
  name_ = std::make_unique<TemporaryName>(path_);
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor_ < 0) throw_errno("write", target_);
}

PendingFile::~PendingFile() {
  ::close(descriptor_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

void PendingFile::write(std::string_view bytes) {
  write_all(descriptor_, bytes, target_);
  unsent_ += bytes.size();
  if (unsent_ < kSendBytes) return;
  ::sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);  // so that accept() has less to wait for
  unsent_ = 0;
}

void PendingFile::accept() {
  if (::fchmod(descriptor_, usual_mode()) != 0 || ::fsync(descriptor_) != 0) throw_errno("write", target_);
  if (::rename(path_.c_str(), target_.c_str()) != 0) throw_errno("write", target_);
  path_.clear();
  name_.reset();
  sync_folder(folder_of(target_));
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  PendingFile file(path, bytes.size());
  file.write(bytes);
  file.accept();
}

void ensure_writable_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw_errno("create the folder", folder, error.value());
  const std::filesystem::path probe = temporary_beside(folder / "probe");
  const FileDescriptor file(::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open()) throw_errno("write into the folder", folder);
  ::unlink(probe.c_str());
}

void publish_folder(const std::filesystem::path& draft, const std::filesystem::path& target) {
  sync_folder(draft);
  std::error_code error;
  const std::filesystem::path old = temporary_beside(target);
  if (std::filesystem::exists(target)) std::filesystem::rename(target, old, error);
  if (!error) std::filesystem::rename(draft, target, error);
  if (error) throw_errno("write", target, error.value());
  sync_folder(folder_of(target));
  std::filesystem::remove_all(old, error);
}

LineAppender::LineAppender(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)), path_(path) {
  if (descriptor_ < 0) throw_errno("write", path);
}

LineAppender::~LineAppender() { ::close(descriptor_); }

void LineAppender::append(std::string_view line) { write_all(descriptor_, cat(line, "\n"), path_); }

std::uint64_t LineAppender::size() const { return std::filesystem::file_size(path_); }

void LineAppender::truncate(std::uint64_t size) {
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) throw_errno("shorten", path_);
}

}  // namespace lora
