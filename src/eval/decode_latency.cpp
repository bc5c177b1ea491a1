#include "eval/decode_latency.h"

#include "eval/generation.h"
#include "lora/base/process.h"

namespace lora {
namespace {

/// Seconds to the first token and for each further one.
std::vector<double> seconds_of(RowFeed& feed, const std::vector<TokenIds>& prompts) {
  GenerationOptions options;
  options.max_new_tokens = 1 + kFurtherTokens;
  std::vector<GeneratedRow> rows;
  for (const TokenIds& prompt : prompts) rows.push_back({prompt, prompt.size()});
  std::size_t tokens = 0;
  const double start = monotonic_seconds();
  double first = start;
  generate_rows(feed, rows, options, [&](const GeneratedRow&) {
    if (++tokens == prompts.size()) first = monotonic_seconds();
  });
  return {first - start, (monotonic_seconds() - first) / static_cast<double>(kFurtherTokens)};
}

}  // namespace

std::vector<DecodeLatency> decode_latencies(const std::vector<WithFeed>& models,
                                            const std::vector<TokenIds>& prompts, std::int64_t repeats) {
  std::vector<std::function<std::vector<double>()>> calls;
  for (const WithFeed& with_feed : models) {
    calls.emplace_back([&with_feed, &prompts] {
      std::vector<double> seconds;
      with_feed([&](RowFeed& feed) { seconds = seconds_of(feed, prompts); });
      return seconds;
    });
  }
  std::vector<DecodeLatency> latencies;
  for (const auto& parts : interleaved_parts(calls, repeats)) latencies.push_back({parts[0], parts[1]});
  return latencies;
}

}  // namespace lora
