#include <algorithm>
#include <cmath>
#include <numeric>

#include "encoded_rows.h"
#include "lora/data/batch.h"
#include "support/errors.h"

using lora::Layout;
using lora::Sampler;
using lora::SamplerOptions;
using lora::Update;
using lora::test::random_rows;
using Numbers = std::vector<std::size_t>;

namespace {

Numbers rows_of(const Update& update) {
  Numbers rows;
  for (const auto& batch : update.micro_batches) rows.insert(rows.end(), batch.begin(), batch.end());
  return rows;
}

Numbers rows_of_epoch(const Sampler& sampler, std::int64_t epoch) {
  Numbers rows;
  for (std::int64_t i = 0; i < sampler.updates_per_epoch(); ++i) {
    const Numbers more = rows_of(sampler.update(epoch * sampler.updates_per_epoch() + i));
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

/// Mean over the first epoch's updates of longest minus shortest row.
double spread(const std::vector<lora::EncodedRow>& rows, const Sampler& sampler) {
  double sum = 0;
  for (std::int64_t i = 0; i < sampler.updates_per_epoch(); ++i) {
    std::vector<double> lengths;
    for (std::size_t row : rows_of(sampler.update(i)))
      lengths.push_back(static_cast<double>(rows[row].ids.size()));
    const auto [low, high] = std::minmax_element(lengths.begin(), lengths.end());
    sum += *high - *low;
  }
  return sum / static_cast<double>(sampler.updates_per_epoch());
}

}  // namespace

TEST_CASE("sampler: every epoch visits every row exactly once, in another order") {
  for (std::size_t count : {1u, 5u, 16u, 17u, 1003u}) {
    for (bool bucket : {false, true}) {
      for (std::int64_t batch_size : {1, 16, 2000}) {
        const Sampler sampler(random_rows(count), {.batch_size = batch_size, .bucket_by_length = bucket});
        Numbers all(count);
        std::iota(all.begin(), all.end(), std::size_t{0});
        for (std::int64_t epoch : {0, 1, 7}) {
          Numbers rows = rows_of_epoch(sampler, epoch);
          std::sort(rows.begin(), rows.end());
          CHECK(rows == all);
        }
      }
    }
  }
  const Sampler sampler(random_rows(1003), {});
  CHECK(rows_of_epoch(sampler, 0) != rows_of_epoch(sampler, 1));
}

TEST_CASE("sampler: all updates are full but the last of an epoch") {
  const Sampler sampler(random_rows(1003), {.batch_size = 16});
  REQUIRE(sampler.updates_per_epoch() == 63);
  for (std::int64_t i = 0; i < 126; ++i) {
    CHECK(rows_of(sampler.update(i)).size() == (i % 63 == 62 ? 1003 % 16 : 16));
  }
}

TEST_CASE("sampler: an update is the same whenever it is asked for") {
  const auto rows = random_rows(300);
  const Sampler forward(rows, {}), backward(rows, {});
  std::vector<Update> updates;
  for (std::int64_t i = 0; i < 60; ++i) updates.push_back(forward.update(i));
  for (std::int64_t i = 59; i >= 0; i -= 7) {
    CHECK(backward.update(i).micro_batches == updates[static_cast<std::size_t>(i)].micro_batches);
  }
}

TEST_CASE("sampler: the order depends on the seed") {
  const auto rows = random_rows(300);
  CHECK(rows_of_epoch(Sampler(rows, {.seed = 1}), 0) != rows_of_epoch(Sampler(rows, {.seed = 2}), 0));
}

TEST_CASE("sampler: micro-batches keep within the token budget, longer rows run alone") {
  const auto rows = random_rows(500);
  const Sampler sampler(rows, {.batch_size = 16, .max_tokens = 50});
  for (std::int64_t i = 0; i < sampler.updates_per_epoch(); ++i) {
    for (const auto& batch : sampler.update(i).micro_batches) {
      std::size_t longest = 0;
      for (std::size_t row : batch) longest = std::max(longest, rows[row].ids.size());
      CHECK((batch.size() * longest <= 50 || batch.size() == 1));
    }
  }
}

TEST_CASE("sampler: the rows of an update do not depend on the token budget") {
  const auto rows = random_rows(200);
  const Sampler small(rows, {.max_tokens = 64}), large(rows, {.max_tokens = 100000});
  for (std::int64_t i = 0; i < small.updates_per_epoch(); ++i) {
    CHECK(rows_of(small.update(i)) == rows_of(large.update(i)));
  }
}

TEST_CASE("sampler: bucketing brings rows of similar length together and saves padding") {
  const auto rows = random_rows(1600);
  const Sampler plain(rows, {.bucket_by_length = false}), bucketed(rows, {.bucket_by_length = true});
  CHECK(spread(rows, bucketed) < 0.2 * spread(rows, plain));
  CHECK(lora::padding_share(rows, bucketed) < 0.2 * lora::padding_share(rows, plain));
}

TEST_CASE("sampler: bucketed updates come in no order of length") {
  const auto rows = random_rows(1600);
  const Sampler sampler(rows, {});
  // Neighbours are as often longer as shorter: 99 comparisons, 5 standard deviations of a fair coin's 50.
  int longer = 0;
  std::size_t before = 0;
  for (std::int64_t i = 0; i < sampler.updates_per_epoch(); ++i) {
    const std::size_t length = rows[rows_of(sampler.update(i)).back()].ids.size();
    longer += length > before;
    before = length;
  }
  CHECK(std::abs(longer - 50) < 25);
}

TEST_CASE("sampler: the padding share is padded positions over all") {
  std::vector<lora::EncodedRow> rows(2);
  rows[0].ids = {1, 2, 3, 4};
  rows[1].ids = {1};
  CHECK(lora::padding_share(rows, Sampler(rows, {})) == 3.0 / 8.0);
  CHECK(lora::padding_share(rows, Sampler(rows, {.batch_size = 1})) == 0);
}

TEST_CASE("sampler: no rows and no batch size are defects of the caller") {
  lora::test::require_error([] { Sampler({}, {}); }, lora::ExitCode::internal);
  lora::test::require_error([] { Sampler(random_rows(3), {.batch_size = 0}); }, lora::ExitCode::internal);
}

TEST_CASE("evaluation batches: all rows once, within the budget, in a fixed order") {
  const auto rows = random_rows(500);
  const auto batches = lora::evaluation_batches(rows, 200);
  Numbers visited;
  for (const auto& batch : batches) {
    std::size_t longest = 0;
    for (std::size_t row : batch) longest = std::max(longest, rows[row].ids.size());
    CHECK(batch.size() * longest <= 200);
    visited.insert(visited.end(), batch.begin(), batch.end());
  }
  std::sort(visited.begin(), visited.end());
  CHECK(visited.size() == 500);
  CHECK(std::unique(visited.begin(), visited.end()) == visited.end());
  CHECK(batches == lora::evaluation_batches(rows, 200));
  CHECK(lora::evaluation_batches({}, 200).empty());
}

TEST_CASE("sampler: shares of an update are its rows, each once, with equally many tokens") {
  const auto rows = random_rows(1003);
  const Sampler sampler(rows, {.batch_size = 16, .max_tokens = 300});
  for (const std::size_t count : {2u, 3u, 4u}) {
    for (std::int64_t number = 0; number < sampler.updates_per_epoch(); ++number) {
      const Numbers whole = rows_of(sampler.update(number));
      Numbers shares;
      std::int64_t least = INT64_MAX, most = 0;
      for (std::size_t share = 0; share < count; ++share) {
        const Numbers part = rows_of(sampler.update(number, {share, count}));
        std::int64_t tokens = 0;
        for (const std::size_t row : part) tokens += static_cast<std::int64_t>(rows[row].ids.size());
        least = std::min(least, tokens);
        most = std::max(most, tokens);
        shares.insert(shares.end(), part.begin(), part.end());
      }
      std::sort(shares.begin(), shares.end());
      Numbers all = whole;
      std::sort(all.begin(), all.end());
      CHECK(shares == all);
      std::size_t longest = 0;
      for (const std::size_t row : whole) longest = std::max(longest, rows[row].ids.size());
      CHECK(most - least <= static_cast<std::int64_t>(longest));
    }
  }
}

TEST_CASE("sampler: lanes are the rows of a share, within the token budget together") {
  const auto rows = random_rows(203);
  const Sampler sampler(rows, {.batch_size = 16, .max_tokens = 300, .layout = Layout::packed});
  for (std::int64_t number = 0; number < sampler.updates_per_epoch(); ++number) {
    Numbers all;
    for (const lora::Update& lane : sampler.lanes(number, {1, 2}, 3)) {
      const Numbers part = rows_of(lane);
      all.insert(all.end(), part.begin(), part.end());
      for (const auto& batch : lane.micro_batches) {
        std::size_t tokens = 0;
        for (const std::size_t row : batch) tokens += rows[row].ids.size();
        CHECK((tokens <= 100 || batch.size() == 1));
      }
    }
    Numbers share = rows_of(sampler.update(number, {1, 2}));
    std::sort(all.begin(), all.end());
    std::sort(share.begin(), share.end());
    CHECK(all == share);
  }
  CHECK(sampler.lanes(12, {}, 20).size() == 20);  // 11 rows are left
}
