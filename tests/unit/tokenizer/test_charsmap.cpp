#include <stdexcept>

#include "support/catch.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/unicode.h"

using lora::CharsMap;

namespace {

/// A table with one-byte sequences: byte -> number of its replacement in `replacements`, built by hand. Units
/// 256 to 511 are the root's children, units from 512 on hold the values.
std::vector<std::uint32_t> trie(const std::vector<std::pair<unsigned char, std::uint32_t>>& values) {
  std::vector<std::uint32_t> units(768);
  units[0] = 256U << 10;
  std::uint32_t leaf = 512;
  for (const auto& [byte, value] : values) {
    const std::uint32_t child = 256 + byte;
    units[child] = (child ^ leaf) << 10 | 1U << 8 | byte;
    units[leaf++] = value | 1U << 31;
  }
  return units;
}

std::string packed(const std::vector<std::uint32_t>& units, const std::string& replacements) {
  std::string bytes;
  const auto append = [&](std::uint32_t number) {
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift & 0xFF);
  };
  append(static_cast<std::uint32_t>(units.size() * 4));
  for (const std::uint32_t unit : units) append(unit);
  return bytes + replacements;
}

const std::string kReplacements("x\0yy\0\0", 6);

}  // namespace

TEST_CASE("charsmap: the shortest sequence that a text begins with is found") {
  const CharsMap map(packed(trie({{'A', 0}, {'B', 2}, {'C', 5}}), kReplacements));
  CHECK(map.find("A") == "x");
  CHECK(map.find("Bz") == "yy");
  CHECK(map.find("C") == "");
  CHECK_FALSE(map.find("a").has_value());
  CHECK_FALSE(map.find("").has_value());
  CHECK_FALSE(map.find(std::string("\0A", 2)).has_value());
}

TEST_CASE("charsmap: damaged tables are refused before anything is looked up") {
  const std::string good = packed(trie({{'A', 0}}), kReplacements);
  CHECK_THROWS_AS(CharsMap(""), std::invalid_argument);
  CHECK_THROWS_AS(CharsMap(good.substr(0, 100)), std::invalid_argument);
  CHECK_THROWS_AS(CharsMap(good.substr(0, good.size() - kReplacements.size())), std::invalid_argument);
  CHECK_THROWS_AS(CharsMap(good + "no end"), std::invalid_argument);
  CHECK_THROWS_AS(CharsMap(packed(trie({{'A', 6}}), kReplacements)),
                  std::invalid_argument);  // value too large
  auto outside = trie({{'A', 0}});
  outside[0] = 4096U << 10;
  CHECK_THROWS_AS(CharsMap(packed(outside, kReplacements)), std::invalid_argument);
  CHECK_THROWS_AS(CharsMap(packed(trie({{'A', 0}}), std::string("\xFF\0", 2))), std::invalid_argument);
}

TEST_CASE("charsmap: every flipped bit of the trie gives a table that can be searched, or a refusal") {
  const std::string good = packed(trie({{'A', 0}, {'B', 2}}), kReplacements);
  int refused = 0, searched = 0;
  for (std::size_t at = 0; at < 4 * 300; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
      try {
        const CharsMap map(bytes);
        for (int byte = 0; byte < 256; ++byte) (void)map.find(std::string(3, static_cast<char>(byte)));
        ++searched;
      } catch (const std::invalid_argument&) {
        ++refused;
      }
    }
  }
  CHECK(searched > 0);
  CHECK(refused > 0);
}

TEST_CASE("base64: RFC 4648's examples") {
  CHECK(lora::decode_base64("") == "");
  CHECK(lora::decode_base64("Zg==") == "f");
  CHECK(lora::decode_base64("Zm9vYmE=") == "fooba");
  CHECK(lora::decode_base64("Zm9vYmFy") == "foobar");
  CHECK_THROWS_AS(lora::decode_base64("Zm9*"), std::invalid_argument);
}
