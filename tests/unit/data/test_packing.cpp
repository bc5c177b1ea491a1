#include "data/packing.h"
#include "support/catch.h"

using lora::Layout;
using Groups = std::vector<std::vector<std::size_t>>;

TEST_CASE("packing: groups keep rows times longest within the budget") {
  const std::vector<std::int64_t> lengths = {2, 3, 3, 5, 9};
  CHECK(lora::pack({0, 1, 2, 3, 4}, lengths, 9, Layout::padded) == Groups{{0, 1, 2}, {3}, {4}});
  CHECK(lora::pack({0, 1, 2, 3, 4}, lengths, 1000, Layout::padded) == Groups{{0, 1, 2, 3, 4}});
}

TEST_CASE("packing: documents in one row fill the budget by their sum") {
  const std::vector<std::int64_t> lengths = {2, 3, 3, 5, 9};
  CHECK(lora::pack({0, 1, 2, 3, 4}, lengths, 9, Layout::packed) == Groups{{0, 1, 2}, {3}, {4}});
  CHECK(lora::pack({0, 1, 2, 3, 4}, lengths, 13, Layout::packed) == Groups{{0, 1, 2, 3}, {4}});
  CHECK(lora::position_count({0, 1, 3}, lengths, Layout::packed) == 10);
  CHECK(lora::position_count({0, 1, 3}, lengths, Layout::padded) == 15);
}

TEST_CASE("packing: a row beyond the budget runs alone") {
  CHECK(lora::pack({0, 1}, {5, 6}, 1, Layout::padded) == Groups{{0}, {1}});
  CHECK(lora::pack({}, {}, 10, Layout::packed).empty());
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
