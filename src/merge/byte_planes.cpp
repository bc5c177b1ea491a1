#include "merge/byte_planes.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr int kLevel = 6, kWindowBits = 15, kMemoryLevel = 9;
constexpr std::size_t kMostAtOnce = std::numeric_limits<uInt>::max() / 2;

/// Byte b of element i moves from [i][b] to [b][i], or back.
std::string to_planes(std::string_view bytes, std::size_t width) {
  const std::size_t count = bytes.size() / width;
  std::string planes(bytes.size(), '\0');
  for (std::size_t b = 0; b < width; ++b) {
    for (std::size_t i = 0; i < count; ++i) planes[b * count + i] = bytes[i * width + b];
  }
  return planes;
}

std::string from_planes(std::string_view planes, std::size_t width) {
  const std::size_t count = planes.size() / width;
  std::string bytes(planes.size(), '\0');
  for (std::size_t b = 0; b < width; ++b) {
    for (std::size_t i = 0; i < count; ++i) bytes[i * width + b] = planes[b * count + i];
  }
  return bytes;
}

std::string exclusive_or(std::string_view a, std::string_view b) {
  std::string result(a.size(), '\0');
  for (std::size_t i = 0; i < a.size(); ++i) result[i] = static_cast<char>(a[i] ^ b[i]);
  return result;
}

Bytef* input_of(std::string_view bytes) { return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data())); }

std::string deflated(std::string_view bytes) {
  z_stream stream{};
  // Runs of zeros are all there is to find: matching strings would cost time for nothing.
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_RLE) != Z_OK)
    throw Error(ExitCode::memory, "zlib cannot start");
  std::string out;
  std::string buffer(std::size_t{1} << 18, '\0');
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    if (stream.avail_in == 0 && !bytes.empty()) {
      const std::string_view part = bytes.substr(0, kMostAtOnce);
      stream.next_in = input_of(part);
      stream.avail_in = static_cast<uInt>(part.size());
      bytes.remove_prefix(part.size());
    }
    stream.next_out = input_of(buffer);
    stream.avail_out = static_cast<uInt>(buffer.size());
    state = deflate(&stream, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
    out.append(buffer, 0, buffer.size() - stream.avail_out);
  }
  deflateEnd(&stream);
  return out;
}

/// Exactly `size` bytes; empty if `bytes` are anything else.
std::string inflated(std::string_view bytes, std::size_t size) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) throw Error(ExitCode::memory, "zlib cannot start");
  std::string out(size, '\0');
  std::size_t done = 0;
  int state = Z_OK;
  while (state == Z_OK) {
    if (stream.avail_in == 0 && !bytes.empty()) {
      const std::string_view part = bytes.substr(0, kMostAtOnce);
      stream.next_in = input_of(part);
      stream.avail_in = static_cast<uInt>(part.size());
      bytes.remove_prefix(part.size());
    }
    const std::size_t room = std::min(size - done, kMostAtOnce);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream.avail_out = static_cast<uInt>(room);
    state = inflate(&stream, Z_NO_FLUSH);
    done += room - stream.avail_out;
    if (state == Z_OK && stream.avail_in == 0 && bytes.empty()) break;
  }
  const bool complete = state == Z_STREAM_END && done == size && stream.avail_in == 0 && bytes.empty();
  inflateEnd(&stream);
  return complete ? out : std::string();
}

}  // namespace

std::string encode_difference(std::string_view before, std::string_view after, std::size_t width) {
  if (before.size() != after.size() || before.size() % width != 0)
    throw Error(ExitCode::internal, cat("difference of ", before.size(), " and ", after.size(), " bytes"));
  return deflated(to_planes(exclusive_or(before, after), width));
}

std::string decode_difference(std::string_view difference, std::string_view after, std::size_t width,
                              const std::string& place) {
  const std::string planes = inflated(difference, after.size());
  if (planes.size() != after.size()) {
    throw Error(ExitCode::file,
                cat(place, ": its difference does not belong to ", after.size(), " bytes of weights"),
                "the undo file is damaged or belongs to another model");
  }
  return exclusive_or(from_planes(planes, width), after);
}

}  // namespace lora
