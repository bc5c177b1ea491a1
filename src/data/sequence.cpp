#include "data/sequence.h"

#include <algorithm>
#include <utility>

#include "data/ignored_label.h"

namespace lora {
namespace {

std::ptrdiff_t offset(std::size_t position) { return static_cast<std::ptrdiff_t>(position); }

/// Removes `count` ids behind `begin`, all before the answer.
void remove(Sequence& sequence, std::size_t begin, std::size_t count) {
  for (TokenIds* list : {&sequence.ids, &sequence.labels}) {
    list->erase(list->begin() + offset(begin), list->begin() + offset(begin + count));
  }
  sequence.answer -= std::min(sequence.answer, count);
}

}  // namespace

void Sequence::append(const TokenIds& more, bool labelled) {
  ids.insert(ids.end(), more.begin(), more.end());
  if (labelled)
    labels.insert(labels.end(), more.begin(), more.end());
  else
    labels.resize(ids.size(), kIgnoredLabel);
}

std::size_t last_run(const std::vector<bool>& flags) {
  const auto end = std::find(flags.rbegin(), flags.rend(), true);
  if (end == flags.rend()) return flags.size();
  return static_cast<std::size_t>(flags.rend() - std::find(end, flags.rend(), false));
}

void merge_front(Sequence& sequence, std::size_t count) {
  if (count > 1) remove(sequence, 1, count - 1);
  sequence.head = std::min<std::size_t>(count, 1);
}

bool cut_before_answer(Sequence& sequence, std::size_t max_length) {
  if (sequence.size() <= max_length) return true;
  const std::size_t excess = sequence.size() - max_length;
  if (sequence.answer < excess + std::max<std::size_t>(sequence.head, 1)) return false;
  remove(sequence, sequence.head, excess);
  sequence.removed += excess;
  return true;
}

std::vector<Sequence> windows(const Sequence& sequence, std::size_t max_length) {
  std::vector<Sequence> pieces;
  for (std::size_t begin = 0; begin < sequence.size();) {
    Sequence piece;
    piece.head = sequence.head;
    if (begin > 0) piece.append({sequence.ids[sequence.head > 0 ? 0 : begin - 1]}, false);
    const std::size_t end = std::min(sequence.size(), begin + max_length - piece.size());
    piece.append({sequence.ids.begin() + offset(begin), sequence.ids.begin() + offset(end)}, true);
    pieces.push_back(std::move(piece));
    begin = end;
  }
  return pieces;
}

}  // namespace lora
