#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lora/data/batch.h"
#include "lora/eval/questions.h"
#include "lora/model/program.h"

namespace lora {

/// What a model made of one row.
struct RowOutcome {
  std::int64_t line = 0;
  double loss = 0;            ///< nats, summed over its labelled tokens; squared error of a regressor
  std::int64_t labelled = 0;  ///< tokens; 1 for a text head
  std::int64_t bytes = 0;     ///< of the labelled text; 0 if they were not counted
  std::int64_t truth = -1;    ///< number of the right choice or class; -1 if it is none of them, or not asked
  std::int64_t predicted = -1;          ///< the likeliest
  std::int64_t predicted_by_byte = -1;  ///< the one of the highest log-likelihood per byte of its text
  double confidence = 0;                ///< share of the predicted one, of the probability of all
  double value = 0, true_value = 0;     ///< a regressor's output, and the label
};

/// Quality of one model on one data set. Sums are kept in double, so that batching does not change them.
struct Quality {
  Task task = Task::language_model;
  double loss = 0;                 ///< mean, in loss_unit(task)
  std::optional<double> accuracy;  ///< share of rows whose likeliest choice or class is right
  std::int64_t rows = 0, labelled = 0, bytes = 0;
  std::vector<RowOutcome> outcomes;  ///< in the order of the rows
};

/// The part of an evaluation that a process computes where several share it.
struct EvaluationShare {
  std::size_t number = 0, count = 1;  ///< it takes the batches whose number is `number` modulo `count`
  std::function<void(std::span<double>)> sum;  ///< replaces each value by its sum over all processes
};

/// What a loss of this task is measured in: "nats/token", "nats/row" or "squared error/row".
std::string loss_unit(Task task);

/// "a language model", "a classifier" or "a regressor".
std::string described(Task task);

/// Rows to measure models on: the mean loss of all, the accuracy of a classifier, the outputs of a regressor,
/// and the accuracy of a language model's answers to questions where such are added. Prepared once, run on
/// any number of models.
class Evaluation {
 public:
  /// `max_tokens`: padded tokens that run at once.
  Evaluation(const std::vector<EncodedRow>& rows, Task task, std::int32_t pad_id, std::int64_t max_tokens);

  /// Adds the first `most` questions: the choice with the highest log-likelihood after the prompt wins (ties:
  /// the first). Choices whose inputs are the beginning of a measured row, as one-token words are, are read
  /// from that row's pass and cost nothing. data error for a choice without tokens.
  void add_questions(const std::vector<Question>& questions, const Tokenizer& tokenizer,
                     const EncodeOptions& options, std::size_t most = SIZE_MAX);

  /// The same in every process that shares it, and bit by bit what one alone finds. A batch that does not fit
  /// into memory runs in halves; memory error if a single row is too much. data error if no row has a label.
  Quality run(const Executable& executable, at::Device device, const EvaluationShare& share = {}) const;

 private:
  /// One choice after one prompt: its log-likelihood is the sum over its labelled ids.
  struct Candidate {
    std::size_t question, choice;
    TokenIds ids, labels;
  };
  /// What runs once: a row, whether its loss counts, and the candidates whose inputs it begins with.
  struct Pass {
    EncodedRow row;
    bool counts = true;
    std::vector<Candidate> candidates;
  };
  using Scores = std::vector<std::vector<double>>;
  /// What the passes of one process found; zero where another's did.
  struct Found {
    Scores scores;
    std::vector<RowOutcome> outcomes;
  };

  void add_candidate(Candidate candidate, std::size_t first_own, const Pass* measured);
  Batch batch_of(const std::vector<std::size_t>& numbers, at::Device device) const;
  void score(const Executable& executable, const std::vector<std::size_t>& numbers, at::Device device,
             Scores& scores, std::vector<RowOutcome>& outcomes) const;
  void classify(const Executable& executable, const std::vector<std::size_t>& numbers, at::Device device,
                std::vector<RowOutcome>& outcomes) const;
  void regress(const Executable& executable, const std::vector<std::size_t>& numbers, at::Device device,
               std::vector<RowOutcome>& outcomes) const;
  void pass(const Executable& executable, const std::vector<std::size_t>& numbers, at::Device device,
            Found& found) const;
  Found pass_all(const Executable& executable, at::Device device, const EvaluationShare& share) const;
  void choose(const Scores& scores, std::vector<RowOutcome>& outcomes) const;

  Task task_;
  std::int32_t pad_id_;
  std::int64_t max_tokens_;
  std::vector<Pass> passes_;
  std::vector<Question> questions_;
  std::vector<std::size_t> rows_;  ///< of each question: number of its pass, SIZE_MAX if it is not measured
};

}  // namespace lora
