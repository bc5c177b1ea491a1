#pragma once

#include <cstdint>
#include <string_view>

namespace lora {

/// Walks over the fields of a protocol-buffer message: just the wire format, no schema.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : message_(message) {}

  /// Goes to the next field; false at the end. std::invalid_argument if the bytes are no such message.
  bool next();

  std::uint32_t field() const { return field_; }
  bool is_bytes() const { return wire_ == 2; }
  bool is_number() const { return wire_ == 0; }
  std::string_view bytes() const { return bytes_; }     ///< of a string, bytes or a message
  std::uint64_t number() const { return number_; }      ///< of a varint
  std::size_t value_offset() const { return offset_; }  ///< where the value begins in the message

 private:
  std::uint64_t varint();
  std::string_view take(std::uint64_t count);

  std::string_view message_;
  std::size_t at_ = 0;
  std::uint32_t field_ = 0, wire_ = 0;
  std::string_view bytes_;
  std::uint64_t number_ = 0;
  std::size_t offset_ = 0;
};

}  // namespace lora
