#include "lora/base/cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/file_writing.h"
#include "base/temporary_name.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/sha256.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHashDigits = 64;
constexpr std::uint64_t kBlockBytes = 512;  ///< in which stat() counts, whatever the file system

struct Entry {
  fs::path path;
  fs::file_time_type used;
  std::uint64_t bytes = 0;  ///< on the disk
};

std::uint64_t bytes_on_disk(const fs::path& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_blocks) * kBlockBytes : 0;
}

/// Oldest use first.
std::vector<Entry> entries_in(const fs::path& folder) {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    std::error_code gone;
    const Entry entry{each->path(), each->last_write_time(gone), bytes_on_disk(each->path())};
    if (!gone && each->is_regular_file(gone) && !is_temporary(entry.path)) entries.push_back(entry);
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
  return entries;
}

void mark_used(const fs::path& path) {
  std::error_code none;
  fs::last_write_time(path, fs::file_time_type::clock::now(), none);
}

/// Readable to its owner alone, as the data may be; not synced, since an entry that a crash damaged is no
/// entry.
void write_entry(const fs::path& path, std::string_view bytes) {
  const fs::path draft = temporary_beside(path);
  const TemporaryName name(draft);
  const FileDescriptor file = create_file(draft, path);
  try {
    write_all(file.get(), sha256(bytes), path);
    write_all(file.get(), bytes, path);
    if (disk::rename(draft, path) != 0) throw_errno("write", path);
  } catch (...) {
    disk::unlink(draft);
    throw;
  }
}

fs::path folder_named_by(const char* variable) {
  const char* value = std::getenv(variable);
  return value ? value : "";
}

}  // namespace

Cache::Cache(fs::path folder, std::uint64_t most_bytes)
    : folder_(std::move(folder)), most_bytes_(most_bytes) {}

fs::path Cache::path_of(std::string_view kind, std::string_view key) const {
  return folder_ / cat(kind, "-", key);
}

std::optional<std::string> Cache::read(std::string_view kind, std::string_view key) const {
  std::error_code none;
  const fs::path path = path_of(kind, key);
  if (!is_on() || !fs::is_regular_file(path, none)) return std::nullopt;
  try {
    const MappedFile file(path);
    const std::string_view hash = file.bytes().substr(0, kHashDigits);
    const std::string_view bytes = file.bytes().substr(hash.size());
    if (sha256(bytes) == hash) {
      mark_used(path);
      return std::string(bytes);
    }
    log_warn("cache", "\"", path.string(), "\" is damaged, and made again");
  } catch (const Error& error) {
    log_debug("cache", error.what());
  }
  return std::nullopt;
}

void Cache::write(std::string_view kind, std::string_view key, std::string_view bytes) const {
  const fs::path path = path_of(kind, key);
  if (!is_on()) return;
  try {
    make_folders(folder_);
    remove_temporaries_in(folder_);
    if (make_room(kHashDigits + bytes.size(), path)) write_entry(path, bytes);
  } catch (const Error& error) {
    log_debug("cache", "nothing is kept: ", error.what());
  }
}

std::optional<fs::path> Cache::place_for(std::string_view kind, std::string_view key,
                                         std::uint64_t bytes) const {
  if (!is_on()) return std::nullopt;
  try {
    make_folders(folder_);
    const fs::path path = path_of(kind, key);
    if (!make_room(bytes, path)) {
      log_warn("cache", human_bytes(bytes), " would be kept, and --cache-gib allows ",
               human_bytes(most_bytes_));
      return std::nullopt;
    }
    const std::uint64_t there = bytes_on_disk(path);
    check_free_space(path, bytes > there ? bytes - there : 0, path);
    if (there > 0) mark_used(path);
    return path;
  } catch (const Error& error) {
    log_warn("cache", "nothing is kept: ", error.what());
    return std::nullopt;
  }
}

bool Cache::make_room(std::uint64_t bytes, const fs::path& kept) const {
  if (bytes > most_bytes_) return false;
  const std::vector<Entry> entries = entries_in(folder_);
  std::uint64_t sum = bytes;
  for (const Entry& entry : entries) sum += entry.path == kept ? 0 : entry.bytes;
  for (const Entry& entry : entries) {
    if (sum <= most_bytes_) break;
    if (entry.path == kept || disk::unlink(entry.path) != 0) continue;
    sum -= entry.bytes;
  }
  return sum <= most_bytes_;
}

fs::path default_cache_folder() {
  const fs::path name = "lora";
  if (const auto cache = folder_named_by("XDG_CACHE_HOME"); cache.is_absolute()) return cache / name;
  const auto home = folder_named_by("HOME");
  return home.empty() ? home : home / ".cache" / name;
}

std::string file_identity(const fs::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return "";
  const auto time = [](const timespec& moment) { return cat(moment.tv_sec, ".", moment.tv_nsec); };
  return cat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ", time(info.st_mtim), " ",
             time(info.st_ctim));
}

std::string program_identity() { return file_identity("/proc/self/exe"); }

}  // namespace lora
