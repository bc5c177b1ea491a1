#include <ATen/ATen.h>

#include <numeric>

#include "support/catch.h"
#include "support/file_size_limit.h"
#include "train/boundary_store.h"
#include "train/step.h"
#include "training_data.h"

using namespace lora;
using lora::test::FileSizeLimit;
using lora::test::TrainingFixture;

namespace {

/// Rows that train what lies above the attention.
struct UpperFixture : TrainingFixture {
  UpperFixture() : TrainingFixture(9) {
    config.targets = {"up_weight", "down_weight"};
    config.model.cache = (folder / "cache").string();
  }

  std::filesystem::path file() const {
    for (const auto& each : std::filesystem::directory_iterator(folder / "cache"))
      if (each.path().filename().string().starts_with("activations-")) return each.path();
    return {};
  }
};

/// Losses of two epochs in batches that differ between them, and the values after them.
struct Epochs {
  std::vector<double> losses;
  at::Tensor values;
};

Epochs train_epochs(const TrainConfig& config, bool keeps, bool shuffles = false) {
  const Session session = open_session(config);
  Trainee trainee(config, const_cast<Program&>(session.model.program));
  if (keeps) {
    auto store = BoundaryStore::open(session, trainee, Layout::padded);
    REQUIRE(store);
    trainee.use_boundary_store(std::move(store));
  }
  std::vector<std::size_t> rows(session.rows.rows.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  Epochs epochs;
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (std::size_t begin = 0; begin < rows.size(); begin += 3) {
      const auto first = rows.begin() + static_cast<std::ptrdiff_t>(begin);
      std::int64_t parts = 1;
      const StepResult result =
          Stepper(session, trainee, Layout::padded).run({Update{{{first, first + 3}}}}, 0, 1e-2, parts);
      epochs.losses.push_back(result.loss());
    }
    if (shuffles) std::rotate(rows.begin(), rows.begin() + 4, rows.end());
  }
  epochs.values = trainee.optimizer().flat_values().clone();
  return epochs;
}

void check_same(const Epochs& found, const Epochs& expected) {
  CHECK(found.losses == expected.losses);
  CHECK(at::equal(found.values, expected.values));
}

}  // namespace

TEST_CASE("boundary store: batches that recur train as without it bit by bit") {
  const UpperFixture fixture;
  const Epochs plain = train_epochs(fixture.config, false);
  check_same(train_epochs(fixture.config, true), plain);
  check_same(train_epochs(fixture.config, true), plain);  // from the first epoch on
}

TEST_CASE("boundary store: other batches of the same rows change rounding only") {
  const UpperFixture fixture;
  const Epochs plain = train_epochs(fixture.config, false, true),
               kept = train_epochs(fixture.config, true, true);
  for (std::size_t i = 0; i < plain.losses.size(); ++i)
    CHECK(kept.losses[i] == Catch::Detail::Approx(plain.losses[i]).epsilon(1e-5));
}

TEST_CASE("boundary store: damaged rows are computed again") {
  const UpperFixture fixture;
  const Epochs plain = train_epochs(fixture.config, true);
  std::string bytes = read_file(fixture.file());
  for (std::size_t i = 40; i < bytes.size(); i += 997) bytes[i] = static_cast<char>(bytes[i] ^ 4);
  write_file_atomically(fixture.file(), bytes);
  check_same(train_epochs(fixture.config, true), plain);
  CHECK(read_file(fixture.file()) != bytes);
  write_file_atomically(fixture.file(), bytes.substr(0, bytes.size() / 2));
  check_same(train_epochs(fixture.config, true), plain);
}

TEST_CASE("boundary store: training goes on where the disk takes no more") {
  const UpperFixture fixture;
  const Epochs plain = train_epochs(fixture.config, false);
  const Session session = open_session(fixture.config);
  Trainee trainee(fixture.config, const_cast<Program&>(session.model.program));
  auto store = BoundaryStore::open(session, trainee, Layout::padded);
  REQUIRE(store);
  trainee.use_boundary_store(std::move(store));
  const FileSizeLimit limit(600);
  std::int64_t parts = 1;
  for (int i = 0; i < 2; ++i) {
    const StepResult result =
        Stepper(session, trainee, Layout::padded).run({Update{{{0, 1, 2}}}}, 0, 0, parts);
    CHECK(result.loss() == plain.losses[0]);
  }
}

TEST_CASE("boundary store: there is none without a cache, without room, or with adapters in every layer") {
  UpperFixture fixture;
  const auto opens = [&] {
    const Session session = open_session(fixture.config);
    const Trainee trainee(fixture.config, const_cast<Program&>(session.model.program));
    return BoundaryStore::open(session, trainee, Layout::padded) != nullptr;
  };
  CHECK(opens());
  fixture.config.model.cache_gib = 1e-7;
  CHECK_FALSE(opens());
  fixture.config.model.cache_gib = 1;
  fixture.config.cache_activations = false;
  CHECK_FALSE(opens());
  fixture.config.cache_activations = true;
  fixture.config.model.cache = "none";
  CHECK_FALSE(opens());
  fixture.config.model.cache = (fixture.folder / "cache").string();
  fixture.config.targets = {"all-linear"};
  CHECK_FALSE(opens());
}
