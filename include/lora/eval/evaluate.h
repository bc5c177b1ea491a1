#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lora/data/batch.h"
#include "lora/model/program.h"

namespace lora {

/// Quality of one model on one data set. Sums are kept in double, so that batching does not change them.
struct Quality {
  double loss = 0;                 ///< mean nats per labelled token (language model) or per row (classifier)
  double perplexity = 0;           ///< exp(loss)
  std::optional<double> accuracy;  ///< share of rows whose best label word or class is right
  std::int64_t rows = 0, labelled = 0;
};

/// Mean loss over all rows (and accuracy of a classifier).
Quality evaluate_loss(const Executable& executable, const std::vector<EncodedRow>& rows, Task task,
                      std::int32_t pad_id, std::int64_t max_tokens, at::Device device);

/// The label words of prompt/completion rows: the given ones, or the distinct completions if at most 32 and
/// each recurs; empty if the data is no classification by words.
std::vector<std::string> find_label_words(const DataSet& data, const std::vector<std::string>& given);

/// Accuracy by label words: the word with the highest log-likelihood after the prompt wins (ties: the first).
/// Inputs that are equal (one-token words) run once.
double label_word_accuracy(const Executable& executable, const DataSet& data,
                           const std::vector<std::string>& words, const Tokenizer& tokenizer,
                           const EncodeOptions& options, std::int32_t pad_id, std::int64_t max_tokens,
                           at::Device device);

}  // namespace lora
