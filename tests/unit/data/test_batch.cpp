#include <ATen/ATen.h>

#include "encoded_rows.h"
#include "lora/data/batch.h"
#include "support/errors.h"

using lora::Batch;
using lora::EncodedRow;
using lora::make_batch;
using lora::Task;
using lora::test::random_rows;

namespace {

EncodedRow row_of(lora::TokenIds ids, lora::TokenIds labels) {
  EncodedRow row;
  row.ids = std::move(ids);
  row.labels = std::move(labels);
  return row;
}

EncodedRow class_row(lora::TokenIds ids, std::vector<std::int32_t> types, std::int64_t target) {
  EncodedRow row;
  row.ids = std::move(ids);
  row.types = std::move(types);
  row.target = target;
  return row;
}

at::Tensor ints(std::vector<std::int64_t> values) { return at::tensor(values, at::kLong); }

}  // namespace

TEST_CASE("batch: rows are right-padded, the last token is a target and no input") {
  const EncodedRow a = row_of({5, 6, 7, 8}, {-100, -100, 7, 8}), b = row_of({9, 10}, {-100, 10});
  const Batch batch = make_batch({&a, &b}, 99, Task::language_model);
  CHECK(batch.rows == 2);
  CHECK(batch.time == 3);
  CHECK(at::equal(batch.inputs.input_ids, ints({5, 6, 7, 9, 99, 99}).view({2, 3})));
  CHECK(at::equal(batch.inputs.attention_mask, ints({1, 1, 1, 1, 0, 0}).view({2, 3})));
  CHECK(!batch.inputs.token_type_ids.defined());
  CHECK(at::equal(batch.positions, ints({1, 2, 3})));
  CHECK(at::equal(batch.targets, ints({7, 8, 10})));
  CHECK(batch.real_tokens == 4);
  CHECK(batch.labelled == 3);
}

TEST_CASE("batch: packed documents follow each other, and their positions count from the row's start") {
  const EncodedRow a = row_of({5, 6, 7, 8}, {-100, -100, 7, 8}), b = row_of({9, 10}, {-100, 10});
  const Batch batch = make_batch({&a, &b}, 99, Task::language_model, lora::Layout::packed);
  CHECK(batch.rows == 1);
  CHECK(batch.time == 4);
  CHECK((batch.inputs.documents == std::vector<std::int64_t>{3, 1}));
  CHECK(at::equal(batch.inputs.input_ids, ints({5, 6, 7, 9}).view({1, 4})));
  CHECK(at::equal(batch.positions, ints({1, 2, 3})));
  CHECK(at::equal(batch.targets, ints({7, 8, 10})));
  CHECK(batch.real_tokens == 4);
}

TEST_CASE("batch: eos that equals the padding id is masked by length, never by id") {
  const EncodedRow a = row_of({5, 2, 6, 2}, {-100, 2, 6, 2}), b = row_of({7, 8}, {-100, 8});
  const Batch batch = make_batch({&a, &b}, 2, Task::language_model);
  CHECK(at::equal(batch.inputs.attention_mask, ints({1, 1, 1, 1, 0, 0}).view({2, 3})));
  CHECK(at::equal(batch.targets, ints({2, 6, 2, 8})));
}

TEST_CASE("batch: targets do not depend on the padding id or on the company of other rows") {
  const auto rows = random_rows(20);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const EncodedRow& one = rows[i];
    const EncodedRow& other = rows[(i + 7) % rows.size()];
    const Batch alone = make_batch({&one}, 0, Task::language_model),
                together = make_batch({&one, &other}, 3, Task::language_model);
    CHECK(alone.labelled == one.label_count());
    CHECK(together.labelled == one.label_count() + other.label_count());
    CHECK(at::equal(together.targets.slice(0, 0, alone.labelled), alone.targets));
    CHECK(at::equal(together.positions.slice(0, 0, alone.labelled), alone.positions));
    const at::Tensor mask = together.inputs.attention_mask[0].to(at::kBool);
    CHECK(at::equal(together.inputs.input_ids[0].masked_select(mask), alone.inputs.input_ids[0]));
  }
}

TEST_CASE("batch: each target is the id behind its position") {
  const auto rows = random_rows(10);
  std::vector<const EncodedRow*> pointers;
  for (const EncodedRow& row : rows) pointers.push_back(&row);
  const Batch batch = make_batch(pointers, 0, Task::language_model);
  for (std::int64_t n = 0; n < batch.labelled; ++n) {
    const auto position = batch.positions[n].item<std::int64_t>();
    const EncodedRow& row = rows[static_cast<std::size_t>(position / batch.time)];
    CHECK(row.ids[static_cast<std::size_t>(position % batch.time + 1)] ==
          batch.targets[n].item<std::int64_t>());
  }
}

TEST_CASE("batch: a classifier reads whole rows and has one target each") {
  const EncodedRow a = class_row({5, 6, 7}, {0, 1, 1}, 2), b = class_row({8}, {}, 0);
  const Batch batch = make_batch({&a, &b}, 9, Task::classification);
  CHECK(batch.time == 3);
  CHECK(at::equal(batch.inputs.input_ids, ints({5, 6, 7, 8, 9, 9}).view({2, 3})));
  CHECK(at::equal(batch.inputs.attention_mask, ints({1, 1, 1, 1, 0, 0}).view({2, 3})));
  CHECK(at::equal(batch.inputs.token_type_ids, ints({0, 1, 1, 0, 0, 0}).view({2, 3})));
  CHECK(at::equal(batch.targets, ints({2, 0})));
  CHECK(!batch.positions.defined());
  CHECK(batch.labelled == 2);
  CHECK(batch.real_tokens == 4);
}

TEST_CASE("batch: a regressor's targets are the values") {
  EncodedRow a = class_row({5, 6, 7}, {}, -1), b = class_row({8}, {}, -1);
  a.value = 2.5;
  b.value = -1;
  const Batch batch = make_batch({&a, &b}, 9, Task::regression);
  CHECK(batch.time == 3);
  CHECK(at::equal(batch.targets, at::tensor({2.5F, -1.0F})));
  CHECK(batch.labelled == 2);
}

TEST_CASE("batch: a row of one token has no empty mask") {
  const EncodedRow a = row_of({5}, {5});
  const Batch batch = make_batch({&a}, 9, Task::language_model);
  CHECK(batch.time == 1);
  CHECK(at::equal(batch.inputs.attention_mask, ints({1}).view({1, 1})));
  CHECK(batch.labelled == 0);
}

TEST_CASE("batch: no rows are a defect of the caller") {
  lora::test::require_error([] { make_batch({}, 0, Task::language_model); }, lora::ExitCode::internal);
}
