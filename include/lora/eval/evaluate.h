#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lora/data/batch.h"
#include "lora/model/program.h"

namespace lora {

/// What a model made of one row.
struct RowOutcome {
  std::int64_t line = 0;
  double loss = 0;            ///< nats, summed over its labelled tokens
  std::int64_t labelled = 0;  ///< tokens; 1 for a classifier
  std::int64_t bytes = 0;     ///< of the labelled text; 0 if they were not counted
  std::int64_t truth =
      -1;  ///< number of the right label word or class; -1 if it is none of them, or not asked
  std::int64_t predicted = -1;
  double confidence = 0;  ///< share of the predicted one, of the probability of all
};

/// Quality of one model on one data set. Sums are kept in double, so that batching does not change them.
struct Quality {
  double loss = 0;                 ///< mean nats per labelled token (language model) or per row (classifier)
  double perplexity = 0;           ///< exp(loss)
  std::optional<double> accuracy;  ///< share of rows whose best label word or class is right
  std::int64_t rows = 0, labelled = 0, bytes = 0;
  std::vector<RowOutcome> outcomes;  ///< in the order of the rows
};

/// The label words of prompt/completion rows: the given ones, or the distinct completions if at most 32 and
/// each recurs; empty if the data is no classification by words.
std::vector<std::string> find_label_words(const DataSet& data, const std::vector<std::string>& given);

/// Rows to measure models on: the mean loss of all, the accuracy of a classifier, and the accuracy by label
/// words where such are added. Prepared once, run on any number of models.
class Evaluation {
 public:
  /// `max_tokens`: padded tokens that run at once.
  Evaluation(const std::vector<EncodedRow>& rows, Task task, std::int32_t pad_id, std::int64_t max_tokens);

  /// Accuracy by label words for the first `most` prompt/completion rows of `data`: the word with the highest
  /// log-likelihood after the prompt wins (ties: the first). Words whose inputs are the beginning of a
  /// measured row, as one-token words are, are read from that row's pass and cost nothing. data error for a
  /// word without tokens.
  void add_label_words(const DataSet& data, const std::vector<std::string>& words, const Tokenizer& tokenizer,
                       const EncodeOptions& options, std::size_t most = SIZE_MAX);

  /// data error if no row has a label.
  Quality run(const Executable& executable, at::Device device) const;

 private:
  /// One label word after one prompt: its log-likelihood is the sum over its labelled ids.
  struct Candidate {
    std::size_t question, word;
    TokenIds ids, labels;
  };
  /// What runs once: a row, whether its loss counts, and the candidates whose inputs it begins with.
  struct Pass {
    EncodedRow row;
    bool counts = true;
    std::vector<Candidate> candidates;
  };
  using Scores = std::vector<std::vector<double>>;

  void add_candidate(Candidate candidate, std::size_t first_own, const Pass* measured);
  Batch batch_of(const std::vector<std::size_t>& numbers, at::Device device) const;
  void score(const Executable& executable, const std::vector<std::size_t>& numbers, at::Device device,
             Scores& scores, std::vector<RowOutcome>& outcomes) const;
  void classify(const Executable& executable, const std::vector<std::size_t>& numbers, at::Device device,
                std::vector<RowOutcome>& outcomes) const;
  void choose_words(const Scores& scores, std::vector<RowOutcome>& outcomes) const;

  Task task_;
  std::int32_t pad_id_;
  std::int64_t max_tokens_;
  std::vector<Pass> passes_;
  std::vector<std::string> words_;
  std::vector<std::string> answers_;  ///< of each question
  std::vector<std::size_t> rows_;  ///< of each question: number of its pass, SIZE_MAX if it is not measured
};

}  // namespace lora
