#pragma once

#include <filesystem>

namespace lora {

/// The name of a file or folder that a signal which ends the process must not leave behind.
class TemporaryName {
 public:
  explicit TemporaryName(const std::filesystem::path& path);
  ~TemporaryName();
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;

  struct Entry;

 private:
  Entry* entry_;
};

/// Removes every registered file and empty folder. Safe in a signal handler.
void remove_temporaries() noexcept;

}  // namespace lora
