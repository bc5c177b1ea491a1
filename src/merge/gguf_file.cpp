#include "merge/gguf_file.h"

#include <ATen/ATen.h>

#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is little-endian");

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kAlignment = 32, kMostDimensions = 4, kMostAlignment = 1 << 16;
constexpr const char* kAlignmentKey = "general.alignment";

enum ValueType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  text,
  array,
  u64,
  i64,
  f64,
  kValueTypes
};
constexpr std::array<std::size_t, kValueTypes> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct TensorType {
  std::uint32_t code;
  at::ScalarType type;
};
constexpr TensorType kTensorTypes[] = {{0, at::kFloat}, {1, at::kHalf}, {30, at::kBFloat16}};

std::uint64_t padded(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

/// Where a tensor is, and what.
struct TensorInfo {
  std::string name;
  std::vector<std::int64_t> shape;
  at::ScalarType type;
  std::uint64_t offset;
};

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& place) : bytes_(bytes), place_(place) {}

  GgufFile read() {
    if (take(kMagic.size()) != kMagic) fail("it does not begin with GGUF");
    const auto version = number<std::uint32_t>();
    if (version != kVersion) fail(cat("it has version ", version, ", known is ", kVersion));
    const auto tensor_count = number<std::uint64_t>(), value_count = number<std::uint64_t>();
    check_count(tensor_count, "tensors");
    check_count(value_count, "values");
    GgufFile file;
    for (std::uint64_t i = 0; i < value_count; ++i) read_value(file);
    std::vector<TensorInfo> infos;
    for (std::uint64_t i = 0; i < tensor_count; ++i) infos.push_back(read_info());
    const std::uint64_t alignment = alignment_of(file), start = padded(position_, alignment);
    for (const TensorInfo& info : infos) {
      if (!file.tensors.emplace(info.name, read_tensor(info, start, alignment)).second)
        fail(cat("tensor \"", printable(info.name), "\" is there twice"));
    }
    return file;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ExitCode::file, cat(place_, ": no valid GGUF file, at byte ", position_, ": ", what),
                "the file is damaged or of another version: convert it again");
  }

  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - position_)
      fail(cat(size, " bytes are expected, ", bytes_.size() - position_, " are left"));
    const std::string_view part = bytes_.substr(position_, size);
    position_ += size;
    return part;
  }

  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string string() { return std::string(take(number<std::uint64_t>())); }

  /// Each of them takes a byte at least.
  void check_count(std::uint64_t count, const char* what) const {
    if (count > bytes_.size()) fail(cat("it would have ", count, " ", what));
  }

  void read_value(GgufFile& file) {
    const std::string key = string();
    const auto type = number<std::uint32_t>();
    const auto value = scalar(type, 0);
    if (value && !file.metadata.emplace(key, *value).second)
      fail(cat("key \"", printable(key), "\" is there twice"));
  }

  /// Nothing for arrays, which are read over.
  std::optional<GgufValue> scalar(std::uint32_t type, int depth) {
    switch (type) {
      case u8:
        return std::int64_t{number<std::uint8_t>()};
      case i8:
        return std::int64_t{number<std::int8_t>()};
      case u16:
        return std::int64_t{number<std::uint16_t>()};
      case i16:
        return std::int64_t{number<std::int16_t>()};
      case u32:
        return std::int64_t{number<std::uint32_t>()};
      case i32:
        return std::int64_t{number<std::int32_t>()};
      case u64:
        return static_cast<std::int64_t>(number<std::uint64_t>());
      case i64:
        return number<std::int64_t>();
      case f32:
        return double{number<float>()};
      case f64:
        return number<double>();
      case boolean:
        return number<std::uint8_t>() != 0;
      case text:
        return string();
      case array:
        skip_array(depth);
        return std::nullopt;
    }
    fail(cat("the type ", type, " of a value is unknown"));
  }

  void skip_array(int depth) {
    if (depth > 2) fail("arrays are nested too deep");
    const auto type = number<std::uint32_t>();
    const auto count = number<std::uint64_t>();
    check_count(count, "array elements");
    if (type < kValueTypes && kSizes[type] > 0) {
      take(count * kSizes[type]);
      return;
    }
    for (std::uint64_t i = 0; i < count; ++i) scalar(type, depth + 1);
  }

  TensorInfo read_info() {
    TensorInfo info{string(), {}, at::kFloat, 0};
    const auto dimensions = number<std::uint32_t>();
    if (dimensions > kMostDimensions)
      fail(cat("tensor \"", printable(info.name), "\" has ", dimensions, " dimensions"));
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      const auto extent = number<std::uint64_t>();
      if (extent > bytes_.size())
        fail(cat("tensor \"", printable(info.name), "\" would have an extent of ", extent));
      info.shape.insert(info.shape.begin(), static_cast<std::int64_t>(extent));
    }
    const auto code = number<std::uint32_t>();
    const TensorType* known = nullptr;
    for (const TensorType& each : kTensorTypes) {
      if (each.code == code) known = &each;
    }
    if (!known)
      fail(cat("tensor \"", printable(info.name), "\" is of type ", code, ", known are F32, F16 and BF16"));
    info.type = known->type;
    info.offset = number<std::uint64_t>();
    return info;
  }

  std::uint64_t alignment_of(const GgufFile& file) const {
    const auto found = file.metadata.find(kAlignmentKey);
    if (found == file.metadata.end()) return kAlignment;
    const auto* stated = std::get_if<std::int64_t>(&found->second);
    if (!stated || *stated < 1 || *stated > static_cast<std::int64_t>(kMostAlignment) ||
        (*stated & (*stated - 1)) != 0)
      fail("general.alignment is no power of two");
    return static_cast<std::uint64_t>(*stated);
  }

  at::Tensor read_tensor(const TensorInfo& info, std::uint64_t start, std::uint64_t alignment) {
    std::uint64_t size = at::elementSize(info.type);
    bool overflow = false;
    for (const std::int64_t extent : info.shape)
      overflow |= __builtin_mul_overflow(size, static_cast<std::uint64_t>(extent), &size);
    const bool fits = !overflow && info.offset % alignment == 0 && start <= bytes_.size() &&
                      info.offset <= bytes_.size() - start && size <= bytes_.size() - start - info.offset;
    if (!fits)
      fail(cat("tensor \"", printable(info.name), "\" goes beyond the file's end, or is not aligned"));
    if (size > bytes_.size() - tensor_bytes_) fail("its tensors overlap: they are larger than the file");
    tensor_bytes_ += size;
    at::Tensor tensor = at::empty(info.shape, at::dtype(info.type));
    if (size > 0) std::memcpy(tensor.data_ptr(), bytes_.data() + start + info.offset, size);
    return tensor;
  }

  std::string_view bytes_;
  const std::string& place_;
  std::uint64_t position_ = 0, tensor_bytes_ = 0;
};

class Writer {
 public:
  template <class Number>
  void number(Number value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void string(const std::string& value) {
    number(static_cast<std::uint64_t>(value.size()));
    bytes_ += value;
  }
  void value(const GgufValue& value) {
    if (const auto* flag = std::get_if<bool>(&value)) {
      number(std::uint32_t{boolean});
      number(static_cast<std::uint8_t>(*flag));
    } else if (const auto* whole = std::get_if<std::int64_t>(&value)) {
      number(std::uint32_t{u32});
      number(static_cast<std::uint32_t>(*whole));
    } else if (const auto* real = std::get_if<double>(&value)) {
      number(std::uint32_t{f32});
      number(static_cast<float>(*real));
    } else {
      number(std::uint32_t{text});
      string(std::get<std::string>(value));
    }
  }
  void raw(std::string_view bytes) { bytes_ += bytes; }
  void pad() { bytes_.resize(padded(bytes_.size(), kAlignment), '\0'); }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

std::uint32_t code_of(at::ScalarType type) {
  for (const TensorType& each : kTensorTypes) {
    if (each.type == type) return each.code;
  }
  throw Error(ExitCode::internal, cat("no GGUF type for ", at::toString(type)));
}

}  // namespace

GgufFile parse_gguf(std::string_view bytes, const std::string& place) { return Reader(bytes, place).read(); }

std::string serialize_gguf(const GgufFile& file) {
  Writer writer;
  writer.raw(kMagic);
  writer.number(kVersion);
  writer.number(static_cast<std::uint64_t>(file.tensors.size()));
  writer.number(static_cast<std::uint64_t>(file.metadata.size()));
  for (const auto& [key, value] : file.metadata) {
    writer.string(key);
    writer.value(value);
  }
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    writer.string(name);
    writer.number(static_cast<std::uint32_t>(tensor.dim()));
    for (std::int64_t i = tensor.dim() - 1; i >= 0; --i)
      writer.number(static_cast<std::uint64_t>(tensor.size(i)));
    writer.number(code_of(tensor.scalar_type()));
    writer.number(offset);
    offset += padded(tensor.nbytes(), kAlignment);
  }
  for (const auto& [name, tensor] : file.tensors) {
    writer.pad();
    const at::Tensor plain = tensor.cpu().contiguous();
    writer.raw({static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()});
  }
  writer.pad();
  return writer.take();
}

}  // namespace lora
