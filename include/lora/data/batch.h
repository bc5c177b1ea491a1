#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "lora/data/encode.h"
#include "lora/model/program.h"

namespace lora {

/// How rows of different length share a batch.
enum class Layout {
  padded,  ///< each a row, padded to the longest
  packed,  ///< documents that follow each other in one row
};

/// Rows that run together.
struct Batch {
  ModelInputs inputs;    ///< int64 [rows, time]; packed [1, time]
  at::Tensor positions;  ///< int64 [n]: flat positions b*time+t whose NEXT token is labelled (language model)
  at::Tensor targets;    ///< int64 [n] ids to be predicted there; or [rows] classes, or float [rows] values
  std::int64_t rows = 0, time = 0;
  std::int64_t real_tokens = 0;  ///< tokens that are not padding
  std::int64_t labelled = 0;     ///< number of targets
};

/// Ids of a row that the model reads: of a language model's all but the last, since nothing follows it, but
/// at least one.
std::int64_t input_length(const EncodedRow& row, Task task);

/// time = the longest row's input_length().
Batch make_batch(const std::vector<const EncodedRow*>& rows, std::int32_t pad_id, Task task,
                 Layout layout = Layout::padded);

/// Row numbers of one optimizer update, split into micro-batches that each keep their positions within a
/// token budget.
struct Update {
  std::vector<std::vector<std::size_t>> micro_batches;
};

/// Which rows of an update one of several takes: the longest first, each goes to the share that has the
/// fewest tokens so far, so that all have as many.
struct RowShare {
  std::size_t number = 0, count = 1;
};

struct SamplerOptions {
  std::int64_t batch_size = 16;  ///< rows per update
  std::int64_t max_tokens =
      4096;             ///< positions per micro-batch, padding included; a longer single row runs alone
  bool shuffle = true;  ///< false: the given order in every epoch
  bool bucket_by_length = true;  ///< rows of similar length meet in an update (windows of 50 updates)
  std::uint64_t seed = 42;
  Layout layout = Layout::padded;
};

/// The order of training: update number n is a pure function of (rows, options, n). Every epoch visits each
/// row once, in a new order if it shuffles; the last update of an epoch may be smaller.
class Sampler {
 public:
  Sampler(const std::vector<EncodedRow>& rows, SamplerOptions options);
  std::int64_t updates_per_epoch() const;
  /// `number` counts from 0 across epochs. The rows of all shares are those of the whole update.
  Update update(std::int64_t number, RowShare share = {}) const { return lanes(number, share, 1).front(); }
  /// A share of an update in parts that run at the same time, and keep their positions within the token
  /// budget together; some are empty if there are more of them than rows.
  std::vector<Update> lanes(std::int64_t number, RowShare share, std::size_t count) const;
  Layout layout() const { return options_.layout; }

 private:
  std::vector<std::size_t> epoch_order(std::int64_t epoch) const;
  std::vector<std::size_t> sorted_rows(std::int64_t number) const;
  std::vector<std::int64_t> lengths_;
  SamplerOptions options_;
  mutable std::int64_t cached_epoch_ = -1;
  mutable std::vector<std::size_t> cached_order_;
};

/// Batches for evaluation: all rows once, sorted by length, within the token budget.
std::vector<std::vector<std::size_t>> evaluation_batches(const std::vector<EncodedRow>& rows,
                                                         std::int64_t max_tokens);

/// Share of positions that are padding if `rows` are trained in this order; 0..1.
double padding_share(const std::vector<EncodedRow>& rows, const Sampler& sampler);

}  // namespace lora
