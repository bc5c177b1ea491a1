#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lora {

/// One entry of a ZIP archive.
struct ZipEntry {
  static constexpr std::uint16_t kStored = 0, kDeflated = 8;

  std::string name;
  std::uint16_t method = kStored;
  std::uint32_t checksum = 0;  ///< CRC-32 of the unpacked bytes, as the archive says
  std::uint64_t size = 0;      ///< unpacked
  std::string_view bytes;      ///< as in the archive: the content itself if it is stored
};

/// The entries of an archive in the order of its directory (PKWARE's APPNOTE 6.3, ZIP64 included), as views
/// of it. file error, which begins with `place`, for what no such archive is: damaged, encrypted, over
/// several disks, entries that are there twice, overlap or leave the file. Content is not looked at.
std::vector<ZipEntry> list_zip(std::string_view archive, const std::string& place);

/// The unpacked content of an entry; its size is the caller's to bound. file error, which begins with
/// `place`: packed in another way, of another size or checksum than the archive says (0 stands for none).
std::string unzip(const ZipEntry& entry, const std::string& place);

/// Bounds what some entries of an archive take in memory when they are unpacked: together no more than the
/// archive itself and 16 MiB, whatever sizes they state.
class UnpackingRoom {
 public:
  /// `what` the entries are in a message: "its code".
  UnpackingRoom(std::uint64_t archive_bytes, std::string what);

  /// unzip(); file error, before it unpacks, if the entry's size is more than what is left.
  std::string unzip(const ZipEntry& entry, const std::string& place);

 private:
  std::uint64_t left_;
  std::string what_;
};

std::uint32_t zip_checksum(std::string_view bytes);

/// Whether the content, unpacked if it is compressed, has the entry's size and checksum.
bool has_its_checksum(const ZipEntry& entry);

}  // namespace lora
