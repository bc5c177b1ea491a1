#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "base/json.h"
#include "checkpoint/safetensors_format.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"
#include "lora/checkpoint/safetensors.h"

namespace lora {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data are little-endian");

/// Everything but the tensors.
struct Layout {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> entries;
  std::string_view header, data;
};

/// Reads one file that is already in memory. Everything is verified before a tensor is made.
class Reader {
 public:
  Reader(std::string_view bytes, const std::string& place) : bytes_(bytes), origin_{place, ExitCode::file} {}

  Layout read() {
    const Json header = parse_header();
    Layout layout;
    for (const auto& [name, value] : header.items()) {
      if (name == kMetadataKey)
        layout.metadata = parse_metadata(value);
      else
        layout.entries.push_back(parse_entry(name, value));
    }
    check_layout(layout.entries);
    for (const SafetensorsEntry& entry : layout.entries) check_content(entry);
    layout.header = bytes_.substr(0, bytes_.size() - data_.size());
    layout.data = data_;
    return layout;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ExitCode::file, cat(origin_.place, ": no valid safetensors file: ", what),
                "the file is damaged or incomplete: copy or download it again");
  }
  [[noreturn]] void fail(const std::string& tensor, const std::string& what) const {
    fail(cat("tensor \"", printable(tensor), "\" ", what));
  }

  Json parse_header() {
    if (bytes_.size() < kLengthBytes)
      fail(cat("it has ", bytes_.size(), " bytes, the header's length alone needs 8"));
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), kLengthBytes);
    if (length > kMostHeaderBytes)
      fail(cat("its header would have ", length, " bytes, at most ", kMostHeaderBytes, " are allowed"));
    if (length > bytes_.size() - kLengthBytes)
      fail(cat("its header would have ", length, " bytes, the file has ", bytes_.size()));
    const std::string_view text = bytes_.substr(kLengthBytes, length);
    data_ = bytes_.substr(kLengthBytes + length);
    // Spaces alone may follow: the JSON parser takes a zero byte for the end.
    if (!text.starts_with('{') || !text.substr(0, text.find_last_not_of(' ') + 1).ends_with('}')) {
      fail("its header is no JSON object padded with spaces");
    }
    return parse_json(text, {cat(origin_.place, " (header)"), ExitCode::file});
  }

  std::map<std::string, std::string> parse_metadata(const Json& value) const {
    if (!value.is_object()) fail(cat(kMetadataKey, " is no JSON object"));
    std::map<std::string, std::string> metadata;
    for (const auto& [key, text] : value.items()) metadata[key] = json_string(text, key, origin_);
    return metadata;
  }

  SafetensorsEntry parse_entry(const std::string& name, const Json& value) const {
    if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets")) {
      fail(name, "must have dtype, shape and data_offsets and nothing else");
    }
    const std::string dtype = json_string(value["dtype"], "dtype", origin_);
    const auto type = dtype_of(dtype);
    if (!type) fail(name, cat("has the unknown dtype \"", printable(dtype), "\""));
    const auto offsets = integers(name, value["data_offsets"]);
    if (offsets.size() != 2 || offsets[0] > offsets[1]) fail(name, "has no valid data_offsets");
    SafetensorsEntry entry{name, *type, integers(name, value["shape"]),
                           static_cast<std::uint64_t>(offsets[0]), static_cast<std::uint64_t>(offsets[1])};
    if (entry.end > data_.size()) {
      fail(name, cat("ends at byte ", entry.end, " of the data, which have ", data_.size()));
    }
    check_size(entry);
    return entry;
  }

  std::vector<std::int64_t> integers(const std::string& name, const Json& value) const {
    if (!value.is_array()) fail(name, "has a shape or data_offsets that is no array");
    std::vector<std::int64_t> numbers;
    for (const Json& item : value) {
      numbers.push_back(json_int(item, name, origin_));
      if (numbers.back() < 0) fail(name, cat("has the negative number ", numbers.back()));
    }
    return numbers;
  }

  void check_size(const SafetensorsEntry& entry) const {
    std::uint64_t size = at::elementSize(entry.dtype);
    bool overflow = false;
    for (const std::int64_t extent : entry.shape) {
      overflow |= __builtin_mul_overflow(size, static_cast<std::uint64_t>(extent), &size);
    }
    if (overflow || size != entry.end - entry.begin) {
      fail(entry.name, cat("of shape [", join(entry.shape, ", "), "] does not fit its ",
                           entry.end - entry.begin, " bytes of data"));
    }
  }

  /// The tensors follow each other without gap or overlap and fill the data.
  void check_layout(std::vector<SafetensorsEntry>& entries) const {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
                       return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                     });
    std::uint64_t position = 0;
    for (const SafetensorsEntry& entry : entries) {
      if (entry.begin != position) {
        fail(entry.name, cat(entry.begin < position ? "overlaps another" : "leaves a hole",
                             ": it begins at byte ", entry.begin, " of the data, expected ", position));
      }
      position = entry.end;
    }
    if (position != data_.size()) fail(cat(data_.size() - position, " bytes of data belong to no tensor"));
  }

  /// A bool is one byte, 0 or 1.
  void check_content(const SafetensorsEntry& entry) const {
    if (entry.dtype != at::kBool) return;
    const std::string_view flags = data_.substr(entry.begin, entry.end - entry.begin);
    if (std::any_of(flags.begin(), flags.end(), [](char flag) { return flag != 0 && flag != 1; })) {
      fail(entry.name, "holds booleans other than 0 and 1");
    }
  }

  std::string_view bytes_, data_;
  JsonOrigin origin_;
};

}  // namespace

SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& place) {
  Layout layout = Reader(bytes, place).read();
  SafetensorsFile file{{}, std::move(layout.metadata)};
  for (const SafetensorsEntry& entry : layout.entries) {
    at::Tensor tensor = at::empty(entry.shape, at::dtype(entry.dtype));
    if (entry.end > entry.begin)
      std::memcpy(tensor.data_ptr(), layout.data.data() + entry.begin, entry.end - entry.begin);
    file.tensors.emplace(entry.name, std::move(tensor));
  }
  return file;
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_safetensors(file.bytes(), path.string());
}

MappedSafetensors::MappedSafetensors(const std::filesystem::path& path) : path_(path), file_(path) {
  Layout layout = Reader(file_.bytes(), path.string()).read();
  metadata_ = std::move(layout.metadata);
  entries_ = std::move(layout.entries);
  header_ = layout.header;
  data_ = layout.data;
}

std::string_view MappedSafetensors::bytes(const SafetensorsEntry& entry) const {
  return data_.substr(entry.begin, entry.end - entry.begin);
}

at::Tensor MappedSafetensors::tensor(const SafetensorsEntry& entry) const {
  const auto options = at::dtype(entry.dtype);
  if (entry.end == entry.begin) return at::empty(entry.shape, options);
  const char* data = bytes(entry).data();
  const at::Tensor view = at::from_blob(const_cast<char*>(data), entry.shape, options);
  return reinterpret_cast<std::uintptr_t>(data) % at::elementSize(entry.dtype) == 0 ? view : view.clone();
}

}  // namespace lora
