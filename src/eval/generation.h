#pragma once

#include <functional>
#include <set>
#include <vector>

#include "eval/sampler.h"
#include "lora/model/program.h"
#include "lora/tokenizer/tokenizer.h"

namespace lora {

struct GenerationOptions {
  SamplingOptions sampling;
  std::int64_t max_new_tokens = 64;
  std::int64_t context_length = 0;  ///< tokens of prompt and answer at most; 0 = no limit
  std::set<std::int32_t> stop;      ///< tokens that end an answer, and are no part of it
  std::int32_t pad = 0;
};

/// A row under way.
struct GeneratedRow {
  TokenIds ids;              ///< prompt, then answer
  std::size_t prompt = 0;    ///< tokens of the prompt
  std::uint64_t number = 0;  ///< of its stream of random numbers
  bool finished = false;

  TokenIds answer() const { return {ids.begin() + static_cast<std::ptrdiff_t>(prompt), ids.end()}; }
};

/// Continues all rows until each meets a stop token or a limit. Every step runs the rows whole, right-padded,
/// and computes the head at their last tokens only; finished rows stay in the batch, so that `executable` may
/// tell rows apart.
void generate_rows(const Executable& executable, at::Device device, std::vector<GeneratedRow>& rows,
                   const GenerationOptions& options);

}  // namespace lora
