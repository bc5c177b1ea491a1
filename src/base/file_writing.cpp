#include "base/file_writing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

namespace lora {
namespace {

constexpr std::size_t kWriteChunk = std::size_t{1} << 30;  ///< Linux writes at most 2 GiB at once
constexpr const char* kEnding = ".tmp";

mode_t usual_mode() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

}  // namespace

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

std::filesystem::path temporary_beside(const std::filesystem::path& path) {
  static std::atomic<unsigned> count{0};
  return folder_of(path) / cat(".", path.filename().string(), ".", ::getpid(), ".", count++, kEnding);
}

bool is_temporary(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') && name.ends_with(kEnding);
}

pid_t owner_of_temporary(const std::filesystem::path& path) {
  const std::vector<std::string> parts = split(path.filename().string(), '.');  // NAME . PID . COUNT . tmp
  return parts.size() < 4 ? 0 : static_cast<pid_t>(std::atol(parts[parts.size() - 3].c_str()));
}

void check_free_space(const std::filesystem::path& path, std::uint64_t bytes,
                      const std::filesystem::path& shown) {
  struct statvfs info{};
  if (::statvfs(folder_of(path).c_str(), &info) != 0) throw_errno("look at the folder of", shown);
  const std::uint64_t free = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  if (free >= bytes) return;
  throw Error(ExitCode::io,
              cat("no room for \"", shown.string(), "\": it needs ", human_bytes(bytes), ", ",
                  human_bytes(free), " are free"),
              "free space there, or choose another place");
}

FileDescriptor create_file(const std::filesystem::path& path, const std::filesystem::path& shown) {
  FileDescriptor file(uninterrupted([&] { return disk::open(path, O_WRONLY | O_CREAT | O_EXCL, 0600); }));
  if (!file.is_open()) throw_errno("write", shown);
  return file;
}

void write_all(int file, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written =
        uninterrupted([&] { return disk::write(file, bytes.data(), std::min(bytes.size(), kWriteChunk)); });
    if (written < 0) throw_errno("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void finish_file(int file, const std::filesystem::path& path) {
  // A failed fsync is never tried again: the kernel may have dropped the pages.
  if (disk::fchmod(file, usual_mode()) != 0 || uninterrupted([&] { return disk::fsync(file); }) != 0)
    throw_errno("write", path);
}

void sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor file(uninterrupted([&] { return disk::open(folder, O_RDONLY | O_DIRECTORY); }));
  if (!file.is_open() || uninterrupted([&] { return disk::fsync(file.get()); }) != 0)
    throw_errno("sync the folder", folder);
}

void make_folder(const std::filesystem::path& folder) {
  if (disk::mkdir(folder) != 0) throw_errno("create the folder", folder);
}

}  // namespace lora
