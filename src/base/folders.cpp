#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/file_writing.h"
#include "base/temporary_name.h"
#include "lora/base/files.h"
#include "lora/base/log.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end; each.increment(error))
    entries.push_back(each->path());
  if (error) throw_errno("list", folder, error.value());
  return entries;
}

bool is_folder(const fs::path& path) { return fs::is_directory(fs::symlink_status(path)); }

/// The same content under a second name.
void keep(const fs::path& from, const fs::path& to) {
  if (disk::link(from, to) != 0)
    write_file_atomically(to, read_file(from));  // not every file system has links
}

/// One name after the other: not at once, for places where a folder cannot be exchanged.
void move_entries(const fs::path& from, const fs::path& to) {
  for (const fs::path& each : entries_of(from)) {
    const fs::path target = to / each.filename();
    if (is_folder(each) && is_folder(target)) {
      move_entries(each, target);
    } else if (disk::rename(each, target) != 0) {
      throw_errno("write", target);
    }
  }
  sync_folder(to);
}

bool holds_working_folder(const fs::path& folder) {
  std::error_code none;
  const fs::path inside = fs::current_path(none).lexically_relative(folder);
  return !inside.empty() && *inside.begin() != "..";
}

/// Whether another folder can take the name of this one: it is no mount point, nobody works in it, and its
/// parent is ours to change.
bool can_be_exchanged(const fs::path& folder) {
  struct stat own{}, parent{};
  const fs::path above = folder_of(folder);
  return ::stat(folder.c_str(), &own) == 0 && ::stat(above.c_str(), &parent) == 0 &&
         own.st_dev == parent.st_dev && ::access(above.c_str(), W_OK) == 0 && !holds_working_folder(folder);
}

bool is_alive(pid_t process) { return ::kill(process, 0) == 0 || errno == EPERM; }

bool cannot_exchange(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EXDEV || error == EBUSY;
}

}  // namespace

void make_folders(const fs::path& folder) {
  std::vector<fs::path> missing;
  std::error_code none;
  for (fs::path each = folder; !each.empty() && !fs::is_directory(each, none); each = each.parent_path())
    missing.push_back(each);
  for (; !missing.empty(); missing.pop_back()) {
    const int error = disk::mkdir(missing.back()) == 0 ? 0 : errno;
    if (error && !fs::is_directory(missing.back(), none))
      throw_errno("create the folder", folder, error == EEXIST ? ENOTDIR : error);
    sync_folder(folder_of(missing.back()));
  }
}

void ensure_writable_folder(const fs::path& folder) {
  make_folders(folder);
  const fs::path probe = temporary_beside(folder / "probe");
  const TemporaryName name(probe);
  const FileDescriptor file(
      uninterrupted([&] { return disk::open(probe, O_WRONLY | O_CREAT | O_EXCL, 0600); }));
  if (!file.is_open()) throw_errno("write into the folder", folder);
  disk::unlink(probe);
}

void remove_tree(const fs::path& path) {
  if (!fs::exists(fs::symlink_status(path))) return;
  if (!is_folder(path)) {
    if (disk::unlink(path) != 0) throw_errno("remove", path);
    return;
  }
  for (const fs::path& each : entries_of(path)) remove_tree(each);
  if (disk::rmdir(path) != 0) throw_errno("remove", path);
}

void remove_temporaries_in(const fs::path& folder) {
  for (const fs::path& each : entries_of(folder))
    if (is_temporary(each) && !is_alive(owner_of_temporary(each))) remove_tree(each);
}

PendingFolder::PendingFolder(const fs::path& target) {
  make_folders(folder_of(target));
  std::error_code none;
  target_ = fs::exists(target) ? fs::canonical(target, none) : target;
  exchanged_ = !fs::exists(target) || can_be_exchanged(target_);
  path_ = temporary_beside(exchanged_ ? target_ : target_ / target_.filename());
  names_.push_back(std::make_unique<TemporaryName>(path_));
  if (disk::mkdir(path_) != 0) throw_errno("write into the folder", folder_of(path_));
}

PendingFolder::~PendingFolder() { discard(); }

void PendingFolder::write(const std::string& name, std::string_view bytes) {
  const fs::path file = path_ / name, shown = target_ / name;
  names_.push_back(std::make_unique<TemporaryName>(file));
  check_free_space(file, bytes.size(), shown);
  const FileDescriptor descriptor = create_file(file, shown);
  write_all(descriptor.get(), bytes, shown);
  finish_file(descriptor.get(), shown);
}

std::unique_ptr<PendingFile> PendingFolder::begin(const std::string& name, std::uint64_t bytes) const {
  return std::make_unique<PendingFile>(path_ / name, bytes, target_ / name);
}

void PendingFolder::accept() {
  const bool replaces = fs::exists(target_);
  if (replaces && exchanged_) {
    const std::vector<fs::path> kept = others();
    exchanged_ =
        std::none_of(kept.begin(), kept.end(), is_folder);  // a folder of more than ours stays where it is
  }
  if (replaces && exchanged_) keep_others();
  sync_folder(path_);
  if (!replaces) {
    if (disk::rename(path_, target_) != 0) throw_errno("write", target_);
    path_.clear();
  } else if (exchanged_ && disk::exchange(path_, target_) != 0) {
    if (!cannot_exchange(errno)) throw_errno("write", target_);
    exchanged_ = false;
  }
  if (replaces && !exchanged_) move_entries(path_, target_);
  if (!replaces || exchanged_) sync_folder(folder_of(target_));
  discard();
}

/// The draft that was not accepted, or what stood in its place.
void PendingFolder::discard() {
  try {
    if (!path_.empty()) remove_tree(path_);
  } catch (const std::exception& error) {
    log_warn("files", error.what());
  }
  path_.clear();
  names_.clear();
}

void PendingFolder::keep_others() {
  struct stat info{};
  if (::stat(target_.c_str(), &info) == 0) {
    const FileDescriptor draft(uninterrupted([&] { return disk::open(path_, O_RDONLY | O_DIRECTORY); }));
    if (!draft.is_open() || disk::fchmod(draft.get(), info.st_mode & 07777) != 0)
      throw_errno("write", target_);
  }
  for (const fs::path& each : others()) keep(each, path_ / each.filename());
}

std::vector<fs::path> PendingFolder::others() const {
  std::vector<fs::path> found = entries_of(target_);
  std::erase_if(found, [&](const fs::path& each) {
    return is_temporary(each) || fs::exists(fs::symlink_status(path_ / each.filename()));
  });
  return found;
}

}  // namespace lora
