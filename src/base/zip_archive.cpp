#include "base/zip_archive.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <set>

#include "base/zip_format.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

class ZipReader {
 public:
  ZipReader(std::string_view archive, const std::string& place) : archive_(archive), place_(place) {}

  std::vector<ZipEntry> read() {
    const Directory directory = find_directory();
    std::vector<ZipEntry> entries;
    std::set<std::string> names;
    std::uint64_t position = directory.position;
    for (std::uint64_t i = 0; i < directory.count; ++i) {
      if (at<std::uint32_t>(position) != zip::kCentral) fail("its directory is damaged");
      entries.push_back(entry(position));
      const ZipEntry& last = entries.back();
      if (!names.insert(last.name).second) fail(cat("entry \"", printable(last.name), "\" is there twice"));
      position += zip::kCentralBytes + last.name.size() + at<std::uint16_t>(position + 30) +
                  at<std::uint16_t>(position + 32);
    }
    refuse_overlaps(entries);
    return entries;
  }

 private:
  struct Directory {
    std::uint64_t count, position;
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ExitCode::file, cat(place_, ": no ZIP archive that can be read: ", what),
                "the file is damaged or incomplete: write or copy it again");
  }

  std::string_view slice(std::uint64_t position, std::uint64_t size) const {
    if (position > archive_.size() || size > archive_.size() - position) fail("an entry leaves the file");
    return archive_.substr(position, size);
  }

  template <class Number>
  Number at(std::uint64_t position) const {
    Number value;
    std::memcpy(&value, slice(position, sizeof value).data(), sizeof value);
    return value;
  }

  std::uint64_t find_end() const {
    for (std::size_t back = zip::kEndBytes;
         back <= archive_.size() && back <= zip::kEndBytes + zip::kMostComment; ++back) {
      const std::size_t position = archive_.size() - back;
      if (at<std::uint32_t>(position) == zip::kEnd &&
          at<std::uint16_t>(position + 20) == back - zip::kEndBytes)
        return position;
    }
    fail("it has no directory");
  }

  Directory find_directory() const {
    const std::uint64_t end = find_end();
    if (end >= zip::kLocator64Bytes && at<std::uint32_t>(end - zip::kLocator64Bytes) == zip::kLocator64) {
      const auto end64 = at<std::uint64_t>(end - zip::kLocator64Bytes + 8);
      if (at<std::uint32_t>(end64) != zip::kEnd64) fail("its directory is damaged");
      if (at<std::uint32_t>(end64 + 16) != 0 ||
          at<std::uint64_t>(end64 + 24) != at<std::uint64_t>(end64 + 32))
        fail("it spans several disks");
      return {at<std::uint64_t>(end64 + 32), at<std::uint64_t>(end64 + 48)};
    }
    const auto count = at<std::uint16_t>(end + 10);
    if (at<std::uint16_t>(end + 4) != 0 || at<std::uint16_t>(end + 8) != count)
      fail("it spans several disks");
    return {count, at<std::uint32_t>(end + 16)};
  }

  /// A 32-bit number of a central header, or its 64-bit value in the extra field, where those that do not fit
  /// stand one after the other.
  std::uint64_t wide(std::uint32_t number, std::string_view extra, std::size_t& taken) const {
    if (number != UINT32_MAX) return number;
    for (std::size_t i = 0; i + 4 <= extra.size();) {
      std::uint16_t id, size;
      std::memcpy(&id, extra.data() + i, 2);
      std::memcpy(&size, extra.data() + i + 2, 2);
      const std::string_view field = extra.substr(i + 4, size);
      if (id == zip::kField64 && field.size() >= taken + 8) {
        std::uint64_t value;
        std::memcpy(&value, field.data() + taken, 8);
        taken += 8;
        return value;
      }
      i += 4 + size;
    }
    return number;
  }

  ZipEntry entry(std::uint64_t central) const {
    ZipEntry entry;
    entry.name = slice(central + zip::kCentralBytes, at<std::uint16_t>(central + 28));
    const std::string_view extra =
        slice(central + zip::kCentralBytes + entry.name.size(), at<std::uint16_t>(central + 30));
    entry.method = at<std::uint16_t>(central + 10);
    entry.checksum = at<std::uint32_t>(central + 16);
    std::size_t taken = 0;
    entry.size = wide(at<std::uint32_t>(central + 24), extra, taken);
    const std::uint64_t packed = wide(at<std::uint32_t>(central + 20), extra, taken);
    const std::uint64_t local = wide(at<std::uint32_t>(central + 42), extra, taken);
    if (at<std::uint16_t>(central + 8) & zip::kEncryptedFlag)
      fail(cat("entry \"", printable(entry.name), "\" is encrypted"));
    if (entry.method == ZipEntry::kStored && packed != entry.size)
      fail(cat("entry \"", printable(entry.name), "\" has two sizes"));
    if (at<std::uint32_t>(local) != zip::kLocal)
      fail(cat("entry \"", printable(entry.name), "\" has no header"));
    entry.bytes = slice(
        local + zip::kLocalBytes + at<std::uint16_t>(local + 26) + at<std::uint16_t>(local + 28), packed);
    return entry;
  }

  void refuse_overlaps(const std::vector<ZipEntry>& entries) const {
    std::vector<std::string_view> spans;
    for (const ZipEntry& entry : entries) spans.push_back(entry.bytes);
    std::sort(spans.begin(), spans.end(), [](auto a, auto b) { return a.data() < b.data(); });
    for (std::size_t i = 1; i < spans.size(); ++i) {
      if (spans[i - 1].data() + spans[i - 1].size() > spans[i].data()) fail("its entries overlap");
    }
  }

  std::string_view archive_;
  const std::string& place_;
};

/// Beyond an archive's own size, for small ones that pack text well.
constexpr std::uint64_t kRoom = 16 << 20;

/// Inflates (RFC 1951) what must become `size` bytes and hands them on as they come, so that a small entry
/// which claims to be large takes no memory; false if they become something else.
template <class Use>
bool inflate_parts(std::string_view packed, std::uint64_t size, Use use) {
  constexpr std::size_t kStep = 1 << 15;
  Bytef part[kStep];
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  std::uint64_t done = 0;
  int state = Z_OK;
  while (state == Z_OK && done <= size) {
    if (stream.avail_in == 0) {
      const std::size_t taken = std::min(packed.size(), kStep);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
      stream.avail_in = static_cast<uInt>(taken);
      packed.remove_prefix(taken);
    }
    stream.next_out = part;
    stream.avail_out = kStep;
    state = inflate(&stream, Z_NO_FLUSH);
    const std::size_t count = kStep - stream.avail_out;
    use(std::string_view(reinterpret_cast<const char*>(part), count));
    done += count;
  }
  inflateEnd(&stream);
  return state == Z_STREAM_END && done == size;
}

std::uint32_t add_to_checksum(std::uint32_t checksum, std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(checksum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

std::vector<ZipEntry> list_zip(std::string_view archive, const std::string& place) {
  return ZipReader(archive, place).read();
}

std::string unzip(const ZipEntry& entry, const std::string& place) {
  const auto fail = [&](const std::string& what) {
    throw Error(ExitCode::file, cat(place, ": entry \"", printable(entry.name), "\" ", what),
                "the file is damaged or incomplete: write or copy it again");
  };
  std::string content;
  if (entry.method == ZipEntry::kStored) {
    content = entry.bytes;
  } else if (entry.method == ZipEntry::kDeflated) {
    const auto append = [&](std::string_view part) { content += part; };
    if (!inflate_parts(entry.bytes, entry.size, append)) fail("cannot be unpacked");
  } else {
    fail(cat("is packed by method ", entry.method));
  }
  if (entry.checksum != 0 && zip_checksum(content) != entry.checksum)
    fail("does not agree with its checksum");
  return content;
}

UnpackingRoom::UnpackingRoom(std::uint64_t archive_bytes, std::string what)
    : left_(archive_bytes + kRoom), what_(std::move(what)) {}

std::string UnpackingRoom::unzip(const ZipEntry& entry, const std::string& place) {
  if (entry.size > left_) {
    throw Error(ExitCode::file,
                cat(place, ": unpacked, ", what_, " would be larger than the file and ", human_bytes(kRoom),
                    " (\"", printable(entry.name), "\")"),
                "no model's are so large: this file is damaged or made to do harm");
  }
  left_ -= entry.size;
  return lora::unzip(entry, place);
}

std::uint32_t zip_checksum(std::string_view bytes) { return add_to_checksum(0, bytes); }

bool has_its_checksum(const ZipEntry& entry) {
  if (entry.method == ZipEntry::kStored) return zip_checksum(entry.bytes) == entry.checksum;
  std::uint32_t checksum = 0;
  const auto add = [&](std::string_view part) { checksum = add_to_checksum(checksum, part); };
  return inflate_parts(entry.bytes, entry.size, add) && checksum == entry.checksum;
}

}  // namespace lora
