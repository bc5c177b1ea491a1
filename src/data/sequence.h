#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lora/tokenizer/tokenizer.h"

namespace lora {

/// A row of a language model on its way into max_length.
struct Sequence {
  TokenIds ids, labels;     ///< of equal length, labels aligned; see EncodedRow
  std::size_t head = 0;     ///< ids at the front that stay whatever is cut: 1 for bos, or 0
  std::size_t answer = 0;   ///< where the part begins that is never cut; size() if there is none
  std::size_t removed = 0;  ///< ids that were cut

  std::size_t size() const { return ids.size(); }
  void append(const TokenIds& more, bool labelled);
};

/// Where the last unbroken run of true values begins; the size if there is none.
std::size_t last_run(const std::vector<bool>& flags);

/// Keeps one of `count` equal ids at the front, as the head.
void merge_front(Sequence& sequence, std::size_t count);

/// Removes ids behind the head until max_length is kept. False, and nothing done, if that would touch the
/// answer or leave no id before it to predict it from.
bool cut_before_answer(Sequence& sequence, std::size_t max_length);

/// Consecutive pieces of at most max_length ids. Every piece but the first begins with the head, or with the
/// last id of the piece before where there is no head, so that each id is predicted once. max_length >= 2.
std::vector<Sequence> windows(const Sequence& sequence, std::size_t max_length);

}  // namespace lora
