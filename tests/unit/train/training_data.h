#pragma once

#include <filesystem>
#include <string>

#include "lora/base/files.h"
#include "lora/base/random.h"
#include "lora/base/text.h"
#include "lora/config/train_config.h"
#include "support/script_models.h"
#include "support/temporary_folder.h"

namespace lora::test {

/// Rows of token ids with a rule to learn: after the first two ids every id is the one before plus three,
/// modulo 40. Lengths vary between 5 and 12.
inline std::string counting_rows(int count, std::uint64_t seed) {
  const CounterRandom random(seed, 0);
  std::string text;
  for (int row = 0; row < count; ++row) {
    std::vector<std::uint64_t> ids{random.below(2 * row, 40) + 1}, labels;
    const std::uint64_t length = 5 + random.below(2 * row + 1, 8);
    while (ids.size() < length) ids.push_back((ids.back() + 2) % 40 + 1);
    text += cat("{\"input_ids\": [", join(ids, ","), "], \"labels\": [-100,-100,");
    text += join(std::vector<std::uint64_t>(ids.begin() + 2, ids.end()), ",") + "]}\n";
  }
  return text;
}

/// A tiny model, data and a run folder, and the options that train it.
struct TrainingFixture {
  ScriptModels models;
  TemporaryFolder folder;
  TrainConfig config;

  explicit TrainingFixture(int rows = 48) {
    write_file_atomically(folder / "train.jsonl", counting_rows(rows, 1));
    write_file_atomically(folder / "valid.jsonl", counting_rows(24, 2));
    config.model.path = models.transformer().string();
    config.model.threads = 1;
    config.model.cache = "none";
    config.data.path = (folder / "train.jsonl").string();
    config.valid = (folder / "valid.jsonl").string();
    config.out = (folder / "run").string();
    config.rank = 4;
    config.alpha = 8;
    config.epochs = 2;
    config.batch_size = 8;
    config.learning_rate = 2e-2;
  }
};

}  // namespace lora::test
