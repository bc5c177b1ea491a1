#include "lora/base/files.h"

#include <fcntl.h>

#include "base/file_writing.h"
#include "base/temporary_name.h"

namespace lora {
namespace {

constexpr std::uint64_t kSendBytes = std::uint64_t{1} << 24;

/// The file behind a link, also if it does not exist yet: the link stays.
std::filesystem::path behind_links(std::filesystem::path path) {
  constexpr int kMostLinks = 40;  // as in Linux
  std::error_code none;
  for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(path, none); ++i)
    path = folder_of(path) / std::filesystem::read_symlink(path, none);
  return path;
}

/// A device, a pipe: nothing that could be replaced.
bool is_stream(const std::filesystem::path& path) {
  std::error_code none;
  const auto status = std::filesystem::status(path, none);
  return std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) &&
         !std::filesystem::is_directory(status);
}

}  // namespace

void require_exists(const std::filesystem::path& path, const std::string& what, const std::string& hint) {
  std::error_code none;
  if (!std::filesystem::exists(path, none))
    throw Error(ExitCode::io, cat(what, " \"", path.string(), "\" does not exist"), hint);
}

void require_writable(const std::filesystem::path& path) {
  if (is_stream(path)) return;
  std::error_code none;
  if (std::filesystem::is_directory(path, none))
    throw Error(ExitCode::io, cat("\"", path.string(), "\" is a folder"), "give a file name");
  require_exists(folder_of(behind_links(path)), "folder", "make it, or choose another place");
  const PendingFile probe(path);
}

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

PendingFile::PendingFile(const std::filesystem::path& target, std::uint64_t bytes,
                         const std::filesystem::path& shown)
    : target_(behind_links(target)),
      path_(temporary_beside(target_)),
      shown_(shown.empty() ? target_ : shown) {
  if (is_stream(target_))
    throw Error(ExitCode::io, cat("\"", target.string(), "\" is no regular file"), "give another file name");
  check_free_space(target_, bytes, shown_);
  name_ = std::make_unique<TemporaryName>(path_);
  descriptor_ = create_file(path_, shown_).release();
}

PendingFile::~PendingFile() {
  ::close(descriptor_);
  if (!path_.empty()) disk::unlink(path_);
}

void PendingFile::write(std::string_view bytes) {
  write_all(descriptor_, bytes, shown_);
  unsent_ += bytes.size();
  if (unsent_ < kSendBytes) return;
  ::sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);  // so that accept() has less to wait for
  unsent_ = 0;
}

void PendingFile::accept() {
  finish_file(descriptor_, shown_);
  if (disk::rename(path_, target_) != 0) throw_errno("write", shown_);
  path_.clear();
  name_.reset();
  sync_folder(folder_of(target_));
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  if (is_stream(path)) {
    const FileDescriptor stream(uninterrupted([&] { return disk::open(path, O_WRONLY); }));
    if (!stream.is_open()) throw_errno("write", path);
    return write_all(stream.get(), bytes, path);
  }
  PendingFile file(path, bytes.size());
  file.write(bytes);
  file.accept();
}

LineAppender::LineAppender(const std::filesystem::path& path)
    : descriptor_(uninterrupted([&] { return disk::open(path, O_WRONLY | O_CREAT | O_APPEND, 0666); })),
      path_(path) {
  if (descriptor_ < 0) throw_errno("write", path);
}

LineAppender::~LineAppender() { ::close(descriptor_); }

void LineAppender::append(std::string_view line) {
  const std::uint64_t before = size();
  try {
    write_all(descriptor_, cat(line, "\n"), path_);
  } catch (const Error&) {
    disk::ftruncate(descriptor_, static_cast<off_t>(before));  // no part of a line
    throw;
  }
}

std::uint64_t LineAppender::size() const { return std::filesystem::file_size(path_); }

void LineAppender::sync() {
  if (uninterrupted([&] { return disk::fsync(descriptor_); }) != 0) throw_errno("write", path_);
  sync_folder(folder_of(path_));
}

void LineAppender::truncate(std::uint64_t size) {
  if (uninterrupted([&] { return disk::ftruncate(descriptor_, static_cast<off_t>(size)); }) != 0)
    throw_errno("shorten", path_);
}

}  // namespace lora
