#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "eval/row_feed.h"
#include "eval/sampler.h"
#include "lora/tokenizer/tokenizer.h"

namespace lora {

/// A row under way.
struct GeneratedRow {
  TokenIds ids;              ///< prompt, then answer
  std::size_t prompt = 0;    ///< tokens of the prompt
  std::uint64_t number = 0;  ///< of its stream of random numbers
  std::size_t fed = 0;       ///< tokens that its feed has had
  bool finished = false;
  std::string writer = "the model";  ///< who writes it, for messages: adapter "poems"

  TokenIds answer() const { return {ids.begin() + static_cast<std::ptrdiff_t>(prompt), ids.end()}; }
};

struct GenerationOptions {
  SamplingOptions sampling;
  std::int64_t max_new_tokens = 64;
  std::int64_t context_length = 0;                   ///< tokens of prompt and answer at most; 0 = no limit
  std::set<std::int32_t> stop;                       ///< tokens that end an answer, and are no part of it
  std::function<bool(const TokenIds& answer)> ends;  ///< whether the text ends an answer; may be empty

  /// Tokens that the row may still get.
  std::int64_t room(const GeneratedRow& row) const;
};

/// diverged error that names the writer of the first row whose scores, logits [rows, vocabulary], are NaN or
/// Inf, or -Inf throughout. `rows`: beams of a row follow each other.
void check_finite(const at::Tensor& logits, const std::vector<const GeneratedRow*>& rows);

/// Continues all rows until each meets an end or a limit. Rows that are done leave the batch: `feed`
/// afterwards holds those that were done last. `on_token(row)` is called after each new token. Errors as
/// check_finite.
void generate_rows(RowFeed& feed, std::vector<GeneratedRow>& rows, const GenerationOptions& options,
                   const std::function<void(const GeneratedRow&)>& on_token = {});

/// Row numbers in batches of at most `size`, rows of similar length together: shorter ones are padded.
std::vector<std::vector<std::size_t>> batches_by_length(const std::vector<std::size_t>& lengths,
                                                        std::size_t size);

}  // namespace lora
