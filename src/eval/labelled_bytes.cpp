#include "eval/labelled_bytes.h"

#include <algorithm>

#include "data/ignored_label.h"

namespace lora {
namespace {

/// Tokens before a run that it is decoded behind: more than a character's bytes.
constexpr std::size_t kContext = 8;

TokenIds slice(const TokenIds& ids, std::size_t begin, std::size_t end) {
  return {ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.begin() + static_cast<std::ptrdiff_t>(end)};
}

TokenIds tail(const TokenIds& ids, std::size_t end) { return slice(ids, end - std::min(end, kContext), end); }

std::int64_t added_bytes(const TokenIds& before, const TokenIds& run, const Tokenizer& tokenizer) {
  TokenIds both = before;
  both.insert(both.end(), run.begin(), run.end());
  return static_cast<std::int64_t>(tokenizer.decode(both).size()) -
         static_cast<std::int64_t>(tokenizer.decode(before).size());
}

/// `previous`: the window that this row continues, or null.
std::int64_t labelled_bytes(const EncodedRow& row, const EncodedRow* previous, const Tokenizer& tokenizer) {
  const auto labelled = [](std::int32_t label) { return label != kIgnoredLabel; };
  std::int64_t bytes = 0;
  auto end = row.labels.begin() + 1;  // nothing predicts the first token
  while (true) {
    const auto begin = std::find_if(end, row.labels.end(), labelled);
    if (begin == row.labels.end()) return bytes;
    end = std::find_if_not(begin, row.labels.end(), labelled);
    const auto first = static_cast<std::size_t>(begin - row.labels.begin());
    const auto last = static_cast<std::size_t>(end - row.labels.begin());
    const TokenIds before =
        previous && first == 1 ? tail(previous->ids, previous->ids.size()) : tail(row.ids, first);
    bytes += added_bytes(before, slice(row.ids, first, last), tokenizer);
  }
}

}  // namespace

std::vector<std::int64_t> labelled_bytes(const std::vector<EncodedRow>& rows, const Tokenizer& tokenizer) {
  std::vector<std::int64_t> bytes;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool continues = i > 0 && rows[i].line == rows[i - 1].line;
    bytes.push_back(labelled_bytes(rows[i], continues ? &rows[i - 1] : nullptr, tokenizer));
  }
  return bytes;
}

void set_bytes(Quality& quality, const std::vector<std::int64_t>& bytes) {
  quality.bytes = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    quality.outcomes[i].bytes = bytes[i];
    quality.bytes += bytes[i];
  }
}

}  // namespace lora
