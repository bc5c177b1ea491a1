#include "lora/data/batch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "data/ignored_label.h"
#include "lora/base/error.h"

namespace lora {
namespace {

at::Tensor filled(std::int64_t rows, std::int64_t time, std::int64_t value) {
  return at::full({rows, time}, value, at::kLong);
}

/// Flat positions whose next token is labelled, and these tokens. Row b starts at starts[b].
void add_targets(Batch& batch, const std::vector<const EncodedRow*>& rows,
                 const std::vector<std::int64_t>& starts) {
  std::vector<std::int64_t> positions, targets;
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const TokenIds& labels = rows[b]->labels;
    for (std::size_t t = 0; t + 1 < labels.size(); ++t) {
      if (labels[t + 1] == kIgnoredLabel) continue;
      positions.push_back(starts[b] + static_cast<std::int64_t>(t));
      targets.push_back(labels[t + 1]);
    }
  }
  batch.positions = at::tensor(positions, at::kLong);
  batch.targets = at::tensor(targets, at::kLong);
}

void add_classes(Batch& batch, const std::vector<const EncodedRow*>& rows) {
  std::vector<std::int64_t> classes;
  for (const EncodedRow* row : rows) classes.push_back(row->target);
  batch.targets = at::tensor(classes, at::kLong);
}

void add_values(Batch& batch, const std::vector<const EncodedRow*>& rows) {
  std::vector<double> values;
  for (const EncodedRow* row : rows) values.push_back(row->value);
  batch.targets = at::tensor(values, at::kFloat);
}

/// Where the rows start in the flattened batch; sets its shape.
std::vector<std::int64_t> lay_out(Batch& batch, const std::vector<std::int64_t>& lengths, Layout layout) {
  std::vector<std::int64_t> starts;
  batch.real_tokens = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  if (layout == Layout::packed) {
    batch.rows = 1;
    batch.time = batch.real_tokens;
    batch.inputs.documents = lengths;
    std::int64_t start = 0;
    for (const std::int64_t length : lengths) starts.push_back(std::exchange(start, start + length));
  } else {
    batch.rows = static_cast<std::int64_t>(lengths.size());
    batch.time = *std::max_element(lengths.begin(), lengths.end());
    for (std::int64_t b = 0; b < batch.rows; ++b) starts.push_back(b * batch.time);
  }
  return starts;
}

}  // namespace

std::int64_t input_length(const EncodedRow& row, Task task) {
  const auto length = static_cast<std::int64_t>(row.ids.size());
  return has_text_head(task) ? length : std::max<std::int64_t>(1, length - 1);
}

Batch make_batch(const std::vector<const EncodedRow*>& rows, std::int32_t pad_id, Task task, Layout layout) {
  if (rows.empty()) throw Error(ExitCode::internal, "a batch without rows");
  Batch batch;
  std::vector<std::int64_t> lengths;
  for (const EncodedRow* row : rows) lengths.push_back(input_length(*row, task));
  const std::vector<std::int64_t> starts = lay_out(batch, lengths, layout);
  batch.inputs.input_ids = filled(batch.rows, batch.time, pad_id);
  batch.inputs.attention_mask = filled(batch.rows, batch.time, 0);
  const bool typed =
      std::any_of(rows.begin(), rows.end(), [](const auto* row) { return !row->types.empty(); });
  if (typed) batch.inputs.token_type_ids = filled(batch.rows, batch.time, 0);
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const EncodedRow& row = *rows[b];
    std::copy_n(row.ids.begin(), lengths[b], batch.inputs.input_ids.data_ptr<std::int64_t>() + starts[b]);
    std::fill_n(batch.inputs.attention_mask.data_ptr<std::int64_t>() + starts[b], lengths[b], 1);
    if (row.types.empty()) continue;
    std::copy_n(row.types.begin(), lengths[b],
                batch.inputs.token_type_ids.data_ptr<std::int64_t>() + starts[b]);
  }
  switch (task) {
    case Task::language_model:
      add_targets(batch, rows, starts);
      break;
    case Task::classification:
      add_classes(batch, rows);
      break;
    case Task::regression:
      add_values(batch, rows);
      break;
  }
  batch.labelled = batch.targets.size(0);
  return batch;
}

}  // namespace lora
