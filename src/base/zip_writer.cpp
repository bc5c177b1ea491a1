#include "base/zip_writer.h"

#include <algorithm>

#include "base/zip_format.h"

namespace lora {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::uint16_t kVersion = 20, kVersion64 = 45;
constexpr std::uint16_t kPaddingField = 0x4246;  ///< torch's extra field "FB"
constexpr std::uint32_t kDate = 0x00210000;      ///< 1980-01-01

template <class... Numbers>
void put(std::string& bytes, Numbers... values) {
  (bytes.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
}

std::uint32_t narrow(std::uint64_t value) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
}

/// From the version needed to the name's length, which both headers have.
void put_common(std::string& header, const ZipEntry& entry, bool is_wide) {
  put(header, is_wide ? kVersion64 : kVersion, zip::kUtf8Flag, entry.method, kDate, entry.checksum,
      is_wide ? UINT32_MAX : narrow(entry.bytes.size()), is_wide ? UINT32_MAX : narrow(entry.size),
      static_cast<std::uint16_t>(entry.name.size()));
}

}  // namespace

void ZipWriter::write(std::string_view bytes) {
  sink_(bytes);
  position_ += bytes.size();
}

void ZipWriter::copy(const ZipEntry& entry) {
  const bool is_wide = std::max<std::uint64_t>(entry.size, entry.bytes.size()) >= UINT32_MAX;
  const std::uint64_t local_position = position_;
  std::string local, field64;
  if (is_wide) put(field64, zip::kField64, std::uint16_t{16}, entry.size, std::uint64_t{entry.bytes.size()});
  put(local, zip::kLocal);
  put_common(local, entry, is_wide);
  const std::size_t unpadded = position_ + zip::kLocalBytes + entry.name.size() + field64.size() + 4;
  const std::size_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
  put(local, static_cast<std::uint16_t>(field64.size() + 4 + padding));
  local += entry.name + field64;
  put(local, kPaddingField, static_cast<std::uint16_t>(padding));
  local.append(padding, 'Z');
  write(local);
  write(entry.bytes);

  if (local_position >= UINT32_MAX) {
    if (field64.empty()) put(field64, zip::kField64, std::uint16_t{0});
    put(field64, local_position);
    const auto size = static_cast<std::uint16_t>(field64.size() - 4);
    field64.replace(2, sizeof size, reinterpret_cast<const char*>(&size), sizeof size);
  }
  put(directory_, zip::kCentral, field64.empty() ? kVersion : kVersion64);
  put_common(directory_, entry, is_wide);
  put(directory_, static_cast<std::uint16_t>(field64.size()));
  directory_.append(10, '\0');  // no comment or attributes, first disk
  put(directory_, narrow(local_position));
  directory_ += entry.name + field64;
  ++count_;
}

void ZipWriter::add(const std::string& name, std::string_view bytes) {
  copy({name, ZipEntry::kStored, zip_checksum(bytes), bytes.size(), bytes});
}

void ZipWriter::finish() {
  const std::uint64_t start = position_, size = directory_.size();
  std::string end = std::move(directory_);
  if (start + size >= UINT32_MAX || count_ >= UINT16_MAX) {
    put(end, zip::kEnd64, std::uint64_t{zip::kEnd64Bytes - 12}, kVersion64, kVersion64, std::uint32_t{0},
        std::uint32_t{0}, count_, count_, size, start);
    put(end, zip::kLocator64, std::uint32_t{0}, start + size, std::uint32_t{1});
  }
  const auto count = static_cast<std::uint16_t>(std::min<std::uint64_t>(count_, UINT16_MAX));
  put(end, zip::kEnd, std::uint32_t{0}, count, count, narrow(size), narrow(start), std::uint16_t{0});
  write(end);
}

}  // namespace lora
