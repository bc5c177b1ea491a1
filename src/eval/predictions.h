#pragma once

#include <string>
#include <vector>

#include "eval/metrics/text_metric.h"

namespace lora {

/// Answers of one system to the rows of a data set.
struct Predictions {
  std::string name;
  std::vector<std::string> prompts;  ///< empty where a row has none
  std::vector<ScoredText> texts;
};

/// The systems of JSONL files with "prediction" or "text", and "references" (or "reference"), and optionally
/// "prompt" and "adapter": each file and each adapter in it is one. data error with the line of a row that
/// misses something, for a file without rows, and for systems whose prompts or references are not the first
/// one's.
std::vector<Predictions> read_predictions(const std::vector<std::string>& files);

}  // namespace lora
