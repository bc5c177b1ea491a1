#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lora::fuzz {

/// Makes inputs from seeds: bits and bytes changed, numbers overwritten, parts cut out, doubled, moved, or
/// taken from another seed. The same seeds and number give the same inputs.
class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, std::uint64_t number) : seeds_(std::move(seeds)), state_(number) {}

  std::string next();

 private:
  std::uint64_t random();
  std::size_t below(std::size_t limit) { return limit ? static_cast<std::size_t>(random() % limit) : 0; }
  void mutate(std::string& input);

  std::vector<std::string> seeds_;
  std::uint64_t state_;
};

}  // namespace lora::fuzz
