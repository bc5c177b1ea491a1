#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "eval/beam_search.h"
#include "eval/generation.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;

namespace {

constexpr std::int32_t kEnd = 0;

/// Counts down: after token n comes n - 1, and 0 ends the row. Keeps what it was fed.
class Countdown : public RowFeed {
 public:
  at::Tensor feed(const std::vector<TokenIds>& added) override {
    sizes.push_back(added.size());
    rows_.resize(added.size());
    at::Tensor logits = at::full({static_cast<std::int64_t>(added.size()), 10}, -5.0);
    for (std::size_t row = 0; row < added.size(); ++row) {
      rows_[row].insert(rows_[row].end(), added[row].begin(), added[row].end());
      logits[static_cast<std::int64_t>(row)][std::max(rows_[row].back() - 1, 0)] = 5;
    }
    return logits;
  }

  void select(const std::vector<std::int64_t>& rows) override {
    if (rows_.empty()) return;
    std::vector<TokenIds> chosen;
    for (const std::int64_t row : rows) chosen.push_back(rows_.at(static_cast<std::size_t>(row)));
    rows_ = std::move(chosen);
  }

  std::vector<std::size_t> sizes;  ///< rows of each pass

 private:
  std::vector<TokenIds> rows_;
};

GenerationOptions ending() {
  GenerationOptions options;
  options.stop = {kEnd};
  return options;
}

std::vector<GeneratedRow> starting_at(const std::vector<std::int32_t>& tokens) {
  std::vector<GeneratedRow> rows;
  for (const std::int32_t token : tokens) rows.push_back({{token}, 1});
  return rows;
}

}  // namespace

TEST_CASE("generation: a row that met its end is in no further pass") {
  Countdown feed;
  auto rows = starting_at({2, 4, 1});
  generate_rows(feed, rows, ending());
  CHECK(rows[0].answer() == TokenIds{1});
  CHECK(rows[1].answer() == TokenIds{3, 2, 1});
  CHECK(rows[2].answer().empty());
  CHECK(feed.sizes == std::vector<std::size_t>{3, 2, 1, 1});
}

TEST_CASE("generation: a row without room is in no pass at all") {
  Countdown feed;
  auto rows = starting_at({3, 3});
  rows[0].ids = {9, 9, 9};
  rows[0].prompt = 3;
  GenerationOptions options = ending();
  options.context_length = 3;
  generate_rows(feed, rows, options);
  CHECK(rows[0].answer().empty());
  CHECK(rows[1].answer() == TokenIds{2, 1});
  CHECK(feed.sizes == std::vector<std::size_t>{1, 1});
}

TEST_CASE("generation: the beams of a row that is done are in no further pass") {
  Countdown feed;
  auto rows = starting_at({5, 0});
  rows[1].ids = {9, 9, 9, 2};  // room for two more tokens
  rows[1].prompt = 4;
  GenerationOptions options = ending();
  options.context_length = 6;
  search_beams(feed, rows, options, {2, 1});
  CHECK(rows[0].answer() == TokenIds{4, 3, 2, 1});
  CHECK(rows[1].answer() == TokenIds{1});
  CHECK(feed.sizes == std::vector<std::size_t>{4, 4, 2, 2, 2});
}

TEST_CASE("generation: scores that are not finite end it, naming who wrote the row") {
  class Wild : public Countdown {
   public:
    at::Tensor feed(const std::vector<TokenIds>& added) override {
      at::Tensor logits = Countdown::feed(added);
      if (sizes.size() == 2) logits[static_cast<std::int64_t>(added.size()) - 1][7] = bad;
      return logits;
    }
    float bad = NAN;
  };
  for (const float bad : {NAN, INFINITY}) {
    auto rows = starting_at({5, 5});
    rows[0].writer = "adapter \"tame\"";
    rows[1].writer = "adapter \"wild\"";
    Wild greedy, beams;
    greedy.bad = beams.bad = bad;
    test::require_error([&] { generate_rows(greedy, rows, ending()); }, ExitCode::diverged,
                        {"adapter \"wild\" predicts NaN or Inf after 2 tokens"});
    rows = starting_at({5, 5});
    rows[1].writer = "adapter \"wild\"";
    test::require_error([&] { search_beams(beams, rows, ending(), {2, 1}); }, ExitCode::diverged,
                        {"adapter \"wild\" predicts"});
  }
}

TEST_CASE("generation: batches hold rows of similar length, each once") {
  using Batches = std::vector<std::vector<std::size_t>>;
  CHECK(batches_by_length({5, 1, 4, 1, 3}, 2) == Batches{{1, 3}, {4, 2}, {0}});
  CHECK(batches_by_length({}, 2).empty());
}
