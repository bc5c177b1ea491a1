#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace lora {

/// Results that can be made again, kept on the disk between processes as FOLDER/KIND-KEY. An entry that
/// cannot be kept, or does not read as it was written, is one that is not there: nothing here throws for the
/// disk's sake.
class Cache {
 public:
  /// Keeps nothing.
  Cache() = default;
  /// The entries that were used last stay within `most_bytes`.
  Cache(std::filesystem::path folder, std::uint64_t most_bytes);

  bool is_on() const { return !folder_.empty(); }

  /// What write() was given; nothing if it is not there or damaged.
  std::optional<std::string> read(std::string_view kind, std::string_view key) const;
  void write(std::string_view kind, std::string_view key, std::string_view bytes) const;

  /// Where a file of `bytes` may be kept that its owner writes and checks alone; others make room. Nothing,
  /// with a warning, if it does not fit.
  std::optional<std::filesystem::path> place_for(std::string_view kind, std::string_view key,
                                                 std::uint64_t bytes) const;

 private:
  std::filesystem::path path_of(std::string_view kind, std::string_view key) const;
  bool make_room(std::uint64_t bytes, const std::filesystem::path& kept) const;

  std::filesystem::path folder_;
  std::uint64_t most_bytes_ = 0;
};

/// $XDG_CACHE_HOME/lora or ~/.cache/lora; empty if neither variable is set.
std::filesystem::path default_cache_folder();

/// Device, number, size and times of a file: the same again as long as nobody has written to it, replaced it
/// or copied it. Empty if there is none.
std::string file_identity(const std::filesystem::path& path);

/// file_identity() of this program: results of another build are not its own.
std::string program_identity();

}  // namespace lora
