#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/disk.h"
#include "base/file_descriptor.h"

namespace lora {

/// Calls again what a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

std::filesystem::path folder_of(const std::filesystem::path& path);

/// A name in the same folder that no other process or thread uses: hidden, with the ending .tmp.
std::filesystem::path temporary_beside(const std::filesystem::path& path);
bool is_temporary(const std::filesystem::path& path);
/// The process that made it.
pid_t owner_of_temporary(const std::filesystem::path& path);

/// io error that names `shown` unless so many bytes are free in the file's folder.
void check_free_space(const std::filesystem::path& path, std::uint64_t bytes,
                      const std::filesystem::path& shown);

/// O_EXCL, 0600. io error that names `shown`.
FileDescriptor create_file(const std::filesystem::path& path, const std::filesystem::path& shown);

/// The rest throw io errors that name `path`.
void write_all(int file, std::string_view bytes, const std::filesystem::path& path);
/// Gives the file the mode of one that open() made under the process's umask, and syncs it.
void finish_file(int file, const std::filesystem::path& path);
/// Makes what happened to names in the folder permanent.
void sync_folder(const std::filesystem::path& folder);
void make_folder(const std::filesystem::path& folder);

}  // namespace lora
