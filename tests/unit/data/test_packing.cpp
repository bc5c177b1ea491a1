#include "data/packing.h"
#include "support/catch.h"

using Groups = std::vector<std::vector<std::size_t>>;

TEST_CASE("packing: groups keep rows times longest within the budget") {
  const std::vector<std::int64_t> lengths = {2, 3, 3, 5, 9};
  CHECK(lora::pack({0, 1, 2, 3, 4}, lengths, 9) == Groups{{0, 1, 2}, {3}, {4}});
  CHECK(lora::pack({0, 1, 2, 3, 4}, lengths, 1000) == Groups{{0, 1, 2, 3, 4}});
}

TEST_CASE("packing: a row beyond the budget runs alone") {
  CHECK(lora::pack({0, 1}, {5, 6}, 1) == Groups{{0}, {1}});
  CHECK(lora::pack({}, {}, 10).empty());
}

TEST_CASE("packing: equal lengths keep their order") {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 100; i > 0; --i) numbers.push_back(i - 1);
  const std::vector<std::size_t> before = numbers;
  lora::sort_by_length(numbers, std::vector<std::int64_t>(100, 4));
  CHECK(numbers == before);
  numbers = {3, 0, 2, 1};
  lora::sort_by_length(numbers, {4, 4, 1, 4});
  CHECK(numbers == std::vector<std::size_t>{2, 3, 0, 1});
}
