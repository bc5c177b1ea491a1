#pragma once

#include <sys/types.h>

#include <filesystem>

/// The system calls by which this project changes what is on a disk, and the only place that makes them: a
/// test links another disk.cpp, which counts the calls and lets any of them fail or be the last. Each returns
/// what the call of its name returns, -1 with errno on failure.
namespace lora::disk {

using Path = std::filesystem::path;

int open(const Path& path, int flags, mode_t mode = 0);
ssize_t write(int file, const char* bytes, std::size_t count);
int fsync(int file);
int ftruncate(int file, off_t size);
int fchmod(int file, mode_t mode);
int rename(const Path& from, const Path& to);
/// Both exist and change places at once.
int exchange(const Path& a, const Path& b);
int link(const Path& from, const Path& to);
int unlink(const Path& path);
int mkdir(const Path& path);
int rmdir(const Path& path);

}  // namespace lora::disk
