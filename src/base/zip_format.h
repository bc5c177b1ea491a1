#pragma once

#include <cstddef>
#include <cstdint>

/// Numbers of PKWARE's APPNOTE 6.3.
namespace lora::zip {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                        kLocator64 = 0x07064b50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                      kLocator64Bytes = 20, kMostComment = 65535;
constexpr std::uint16_t kField64 = 0x0001;  ///< extra field with 64-bit sizes and offset
constexpr std::uint16_t kEncryptedFlag = 1, kUtf8Flag = 1 << 11;

}  // namespace lora::zip
