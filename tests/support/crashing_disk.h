#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

/// In place of src/base/disk.cpp: real calls on a real folder, and a model of what would be left of it if the
/// power failed. A file's content is safe after fsync() of the file, a name after fsync() of its folder.
namespace lora::test {

enum class Fault {
  none,
  kill_before,
  kill_after,
  torn_write,   ///< half of the bytes, then the process is killed
  short_write,  ///< half of the bytes, which write() tells
  interrupted,  ///< EINTR, once
  broken,       ///< EIO, from then on for every call
  broken_once,  ///< EIO
  full,         ///< ENOSPC, from then on for every call that needs space
  full_once,    ///< ENOSPC
};

/// What a loss of power does at the end of a process.
enum class Loss {
  none,
  data,            ///< what was not synced of the content of files
  data_and_names,  ///< also what was not synced of folders
};

constexpr int kKilled = 99;  ///< exit code of a process that was killed by a fault

/// The call in question, in the order in which a process makes them.
struct DiskCall {
  std::string name;
  bool needs_space = false, can_be_interrupted = false;
};

/// From now on the calls below `root` are counted, and call number `at` meets the fault.
void start_crashing_disk(const std::filesystem::path& root, Fault fault, std::size_t at, Loss loss);

/// Ends that, and returns the calls.
std::vector<DiskCall> stop_crashing_disk();

/// Leaves in the folder what the loss of power leaves.
void lose_power();

}  // namespace lora::test
