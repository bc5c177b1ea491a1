#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "eval/latency.h"
#include "eval/row_feed.h"

namespace lora {

/// Milliseconds of a batch that is written with a cache of keys and values.
struct DecodeLatency {
  Latency first_token;    ///< the prompts' pass and the choice of one token for each row
  Latency further_token;  ///< one more token for each row, mean over kFurtherTokens
};

constexpr std::int64_t kFurtherTokens = 8;

/// Runs work with a new feed, its weights in place.
using WithFeed = std::function<void(const std::function<void(RowFeed&)>&)>;

/// Writes the likeliest 1 + kFurtherTokens tokens after each prompt, the models in turn after one warm-up
/// each.
std::vector<DecodeLatency> decode_latencies(const std::vector<WithFeed>& models,
                                            const std::vector<TokenIds>& prompts, std::int64_t repeats);

}  // namespace lora
