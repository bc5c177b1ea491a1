#include "mutation.h"

#include <algorithm>
#include <cstring>

namespace lora::fuzz {
namespace {

constexpr std::size_t kMostBytes = 1 << 16, kMostChanges = 8;
constexpr std::uint64_t kNumbers[] = {0,          1,          0x7f,       0x80,
                                      0xff,       0x7fff,     0xffff,     0x7fffffff,
                                      0x80000000, 0xffffffff, 1ull << 62, 0x7fffffffffffffff,
                                      1ull << 63, UINT64_MAX, 31,         64};
constexpr const char* kWords[] = {
    "\"",  "\\",        "\\u",  "\\ud800",  "{",          "}",         "[",   "]",
    ":",   ",",         "null", "true",     "-1",         "1e999",     "1.5", "99999999999999999999",
    "\n",  "#",         "'",    "'''",      "(",          ")",         ".",   "torch",
    "ops", "__torch__", "\xff", "\xe2\x82", "PK\x05\x06", "PK\x01\x02"};

}  // namespace

/// SplitMix64.
std::uint64_t Mutator::random() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void Mutator::mutate(std::string& input) {
  const std::size_t at = below(input.size() + 1), size = std::min(below(1 << below(10)), input.size() - at);
  switch (random() % 9) {
    case 0:
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
      break;
    case 1:
      if (at < input.size()) input[at] = static_cast<char>(random());
      break;
    case 2: {
      const std::uint64_t number = kNumbers[below(std::size(kNumbers))] + below(3) - 1;
      const std::size_t width = std::min<std::size_t>(std::size_t{1} << below(4), input.size() - at);
      std::memcpy(input.data() + at, &number, width);
      break;
    }
    case 3:
      input.erase(at, size);
      break;
    case 4:
      input.insert(at, input.substr(at, size));
      break;
    case 5:
      input.insert(below(input.size() + 1), input.substr(at, size));
      break;
    case 6:
      input.insert(at, kWords[below(std::size(kWords))]);
      break;
    case 7: {
      const std::string& other = seeds_[below(seeds_.size())];
      const std::size_t from = below(other.size() + 1);
      input.replace(at, size, other.substr(from, below(64)));
      break;
    }
    default:
      input.resize(at);
  }
}

std::string Mutator::next() {
  std::string input = seeds_[below(seeds_.size())];
  for (std::size_t changes = 1 + below(kMostChanges); changes > 0; --changes) mutate(input);
  if (input.size() > kMostBytes) input.resize(kMostBytes);
  return input;
}

}  // namespace lora::fuzz
