#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lora/data/example.h"

namespace lora {

/// A prompt and the texts of which one is to follow it.
struct Question {
  std::int64_t line = 0;
  std::string prompt;
  std::vector<std::string> choices;
  std::int64_t right = -1;  ///< number of the right choice; -1: none of them
};

/// The label words of prompt/completion rows: the given ones, or the distinct completions if at most 32 and
/// each recurs; empty if the data is no classification by words. Given words: usage error for an empty word,
/// one alone or given twice, and where rows have choices of their own; data error if no row's answer is among
/// them.
std::vector<std::string> find_label_words(const DataSet& data, const std::vector<std::string>& given);

/// What a language model is asked about the rows: which of a row's own choices follows its prompt, or which
/// of `words`; nothing without either. data error for words where no row has a prompt and a completion.
std::vector<Question> questions_of(const DataSet& data, const std::vector<std::string>& words);

}  // namespace lora
