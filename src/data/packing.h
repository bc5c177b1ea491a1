#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lora/data/batch.h"
#include "lora/data/encode.h"

namespace lora {

/// Tokens of each row.
std::vector<std::int64_t> lengths_of(const std::vector<EncodedRow>& rows);

/// Orders row numbers by length; equal ones keep their order.
void sort_by_length(std::vector<std::size_t>& numbers, const std::vector<std::int64_t>& lengths);

/// Row numbers that are sorted by length in `count` shares (RowShare), each sorted, too.
std::vector<std::vector<std::size_t>> share_out(const std::vector<std::size_t>& sorted,
                                                const std::vector<std::int64_t>& lengths, std::size_t count);

/// Positions that a micro-batch of these rows computes.
std::int64_t position_count(const std::vector<std::size_t>& rows, const std::vector<std::int64_t>& lengths,
                            Layout layout);

/// Cuts row numbers that are sorted by length into groups of which each keeps its positions within
/// max_tokens; a single row beyond that is a group of its own.
std::vector<std::vector<std::size_t>> pack(const std::vector<std::size_t>& sorted,
                                           const std::vector<std::int64_t>& lengths, std::int64_t max_tokens,
                                           Layout layout);

}  // namespace lora
