#include "base/disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lora::disk {

int open(const Path& path, int flags, mode_t mode) { return ::open(path.c_str(), flags | O_CLOEXEC, mode); }
ssize_t write(int file, const char* bytes, std::size_t count) { return ::write(file, bytes, count); }
int fsync(int file) { return ::fsync(file); }
int ftruncate(int file, off_t size) { return ::ftruncate(file, size); }
int fchmod(int file, mode_t mode) { return ::fchmod(file, mode); }
int rename(const Path& from, const Path& to) { return ::rename(from.c_str(), to.c_str()); }
int link(const Path& from, const Path& to) { return ::link(from.c_str(), to.c_str()); }
int unlink(const Path& path) { return ::unlink(path.c_str()); }
int mkdir(const Path& path) { return ::mkdir(path.c_str(), 0777); }
int rmdir(const Path& path) { return ::rmdir(path.c_str()); }

int exchange(const Path& a, const Path& b) {
  return static_cast<int>(
      ::syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE));
}

}  // namespace lora::disk
