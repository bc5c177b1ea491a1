#include "tokenizer/proto_reader.h"

#include <stdexcept>

namespace lora {

std::uint64_t ProtoReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(take(1).front());
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  throw std::invalid_argument("a number is longer than 64 bits");
}

std::string_view ProtoReader::take(std::uint64_t count) {
  if (count > message_.size() - at_) throw std::invalid_argument("it ends within a field");
  const std::string_view taken = message_.substr(at_, count);
  at_ += count;
  return taken;
}

bool ProtoReader::next() {
  if (at_ == message_.size()) return false;
  const std::uint64_t key = varint();
  field_ = static_cast<std::uint32_t>(key >> 3);
  wire_ = static_cast<std::uint32_t>(key & 7);
  offset_ = at_;
  switch (wire_) {
    case 0:
      number_ = varint();
      return true;
    case 1:
      bytes_ = take(8);
      return true;
    case 2: {
      const std::uint64_t length = varint();
      offset_ = at_;
      bytes_ = take(length);
      return true;
    }
    case 5:
      bytes_ = take(4);
      return true;
    default:
      throw std::invalid_argument("a field has an unknown wire type");
  }
}

}  // namespace lora
