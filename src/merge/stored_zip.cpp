#include "merge/stored_zip.h"

#include <zlib.h>

#include <cstdint>
#include <cstring>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

// PKWARE's APPNOTE 6.3: local headers with their data, then the central directory, then its end record.
constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kMostComment = 65535,
                      kAlignment = 64;
constexpr std::uint16_t kUtf8Flag = 1 << 11;
constexpr std::uint16_t kPaddingField = 0x4246;  ///< torch's extra field "FB"

std::uint32_t checksum(std::string_view bytes) {
  uLong sum = crc32(0, nullptr, 0);
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, std::size_t{1} << 30);
    sum = crc32(sum, reinterpret_cast<const Bytef*>(part.data()), static_cast<uInt>(part.size()));
    bytes.remove_prefix(part.size());
  }
  return static_cast<std::uint32_t>(sum);
}

class ZipReader {
 public:
  ZipReader(std::string_view archive, const std::string& place) : archive_(archive), place_(place) {}

  std::map<std::string, std::string_view> read() {
    const std::size_t end = find_end();
    const auto count = at<std::uint16_t>(end + 10);
    if (at<std::uint16_t>(end + 4) != 0 || at<std::uint16_t>(end + 8) != count)
      fail("it spans several disks");
    std::uint64_t position = at<std::uint32_t>(end + 16);
    std::map<std::string, std::string_view> entries;
    std::uint64_t total = 0;
    for (std::uint16_t i = 0; i < count; ++i) {
      if (at<std::uint32_t>(position) != kCentral) fail("its directory is damaged");
      const auto name_size = at<std::uint16_t>(position + 28), extra_size = at<std::uint16_t>(position + 30),
                 comment_size = at<std::uint16_t>(position + 32);
      const std::string name(slice(position + kCentralBytes, name_size));
      const std::string_view bytes = entry(position, name);
      total += bytes.size();
      if (!entries.emplace(name, bytes).second) fail(cat("entry \"", printable(name), "\" is there twice"));
      position += kCentralBytes + name_size + extra_size + comment_size;
    }
    if (total > archive_.size()) fail("its entries overlap");
    return entries;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ExitCode::file, cat(place_, ": no archive of torch.save: ", what),
                "the file is damaged, or of another tool: save it again with torch.save(state_dict, path)");
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

  std::size_t find_end() const {
    for (std::size_t back = kEndBytes; back <= archive_.size() && back <= kEndBytes + kMostComment; ++back) {
      const std::size_t position = archive_.size() - back;
      if (at<std::uint32_t>(position) == kEnd && at<std::uint16_t>(position + 20) == back - kEndBytes)
        return position;
    }
    fail("it has no directory");
  }

  std::string_view entry(std::uint64_t central, const std::string& name) const {
    const auto flags = at<std::uint16_t>(central + 8), method = at<std::uint16_t>(central + 10);
    const auto sum = at<std::uint32_t>(central + 16), packed = at<std::uint32_t>(central + 20),
               size = at<std::uint32_t>(central + 24), local = at<std::uint32_t>(central + 42);
    if (method != 0 || packed != size || (flags & 1) != 0 || size == UINT32_MAX)
      fail(cat("entry \"", printable(name), "\" is compressed, encrypted or larger than 4 GB"));
    if (at<std::uint32_t>(local) != kLocal) fail(cat("entry \"", printable(name), "\" has no header"));
    const std::uint64_t start =
        std::uint64_t{local} + kLocalBytes + at<std::uint16_t>(local + 26) + at<std::uint16_t>(local + 28);
    const std::string_view bytes = slice(start, size);
    if (checksum(bytes) != sum) fail(cat("the checksum of entry \"", printable(name), "\" disagrees"));
    return bytes;
  }

  std::string_view archive_;
  const std::string& place_;
};

template <class Number>
void put(std::string& bytes, Number value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// From the version needed to the sizes, which both headers have.
void put_common(std::string& bytes, std::string_view data) {
  put(bytes, std::uint16_t{20});
  put(bytes, kUtf8Flag);
  put(bytes, std::uint16_t{0});           // stored
  put(bytes, std::uint32_t{0x00210000});  // 1980-01-01: the same bytes every time
  put(bytes, checksum(data));
  put(bytes, static_cast<std::uint32_t>(data.size()));
  put(bytes, static_cast<std::uint32_t>(data.size()));
}

}  // namespace

std::map<std::string, std::string_view> read_stored_zip(std::string_view archive, const std::string& place) {
  return ZipReader(archive, place).read();
}

std::string write_stored_zip(const std::map<std::string, std::string>& entries) {
  std::string bytes, directory;
  for (const auto& [name, data] : entries) {
    if (data.size() >= UINT32_MAX || bytes.size() >= UINT32_MAX)
      throw Error(ExitCode::usage, "the adapter is larger than the 4 GB that such an archive can hold");
    const auto local = static_cast<std::uint32_t>(bytes.size());
    put(bytes, kLocal);
    put_common(bytes, data);
    put(bytes, static_cast<std::uint16_t>(name.size()));
    const std::size_t unpadded = bytes.size() + 2 + name.size() + 4;
    const std::size_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
    put(bytes, static_cast<std::uint16_t>(4 + padding));
    bytes += name;
    put(bytes, kPaddingField);
    put(bytes, static_cast<std::uint16_t>(padding));
    bytes.append(padding, 'Z');
    bytes += data;
    put(directory, kCentral);
    put(directory, std::uint16_t{20});
    put_common(directory, data);
    put(directory, static_cast<std::uint16_t>(name.size()));
    directory.append(12, '\0');  // no extra field, comment, attributes; first disk
    put(directory, local);
    directory += name;
  }
  const auto start = static_cast<std::uint32_t>(bytes.size()),
             size = static_cast<std::uint32_t>(directory.size());
  bytes += directory;
  put(bytes, kEnd);
  put(bytes, std::uint32_t{0});
  put(bytes, static_cast<std::uint16_t>(entries.size()));
  put(bytes, static_cast<std::uint16_t>(entries.size()));
  put(bytes, size);
  put(bytes, start);
  put(bytes, std::uint16_t{0});
  return bytes;
}

}  // namespace lora
