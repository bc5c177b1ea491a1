#include <algorithm>
#include <numeric>

#include "data/packing.h"
#include "lora/base/error.h"
#include "lora/base/random.h"
#include "lora/base/text.h"
#include "lora/data/batch.h"

namespace lora {
namespace {

constexpr std::int64_t kWindow = 50;  ///< updates whose rows are bucketed together

/// Random stream 0 of an epoch orders its rows, stream 1 + n the updates of its window n.
std::uint64_t stream(std::int64_t epoch, std::int64_t number) {
  return static_cast<std::uint64_t>(epoch) << 32 | static_cast<std::uint64_t>(number);
}

}  // namespace

Sampler::Sampler(const std::vector<EncodedRow>& rows, SamplerOptions options)
    : lengths_(lengths_of(rows)), options_(options) {
  if (!rows.empty() && options.batch_size >= 1) return;
  throw Error(ExitCode::internal,
              cat("a sampler of ", rows.size(), " rows with a batch size of ", options.batch_size));
}

std::int64_t Sampler::updates_per_epoch() const {
  return (static_cast<std::int64_t>(lengths_.size()) + options_.batch_size - 1) / options_.batch_size;
}

std::vector<std::size_t> Sampler::sorted_rows(std::int64_t number) const {
  const std::int64_t epoch = number / updates_per_epoch();
  if (epoch != cached_epoch_) {
    cached_order_ = epoch_order(epoch);
    cached_epoch_ = epoch;
  }
  const auto size = static_cast<std::size_t>(options_.batch_size);
  const std::size_t begin = static_cast<std::size_t>(number % updates_per_epoch()) * size;
  const std::size_t end = std::min(begin + size, cached_order_.size());
  std::vector<std::size_t> rows(cached_order_.begin() + static_cast<std::ptrdiff_t>(begin),
                                cached_order_.begin() + static_cast<std::ptrdiff_t>(end));
  sort_by_length(rows, lengths_);
  return rows;
}

std::vector<Update> Sampler::lanes(std::int64_t number, RowShare share, std::size_t count) const {
  const auto taken = share_out(sorted_rows(number), lengths_, share.count)[share.number];
  const std::int64_t budget =
      std::max<std::int64_t>(1, options_.max_tokens / static_cast<std::int64_t>(count));
  std::vector<Update> parts;
  for (const auto& rows : share_out(taken, lengths_, count))
    parts.push_back({pack(rows, lengths_, budget, options_.layout)});
  return parts;
}

/// Shuffled rows. Bucketing sorts those of 50 updates by length and then shuffles these updates; the rows of
/// an incomplete last update stay as they were drawn, so that it is no longer or shorter than others.
std::vector<std::size_t> Sampler::epoch_order(std::int64_t epoch) const {
  if (!options_.shuffle) {
    std::vector<std::size_t> given(lengths_.size());
    std::iota(given.begin(), given.end(), std::size_t{0});
    return given;
  }
  std::vector<std::size_t> order = shuffled(lengths_.size(), options_.seed, stream(epoch, 0));
  if (!options_.bucket_by_length) return order;
  const auto size = static_cast<std::size_t>(options_.batch_size);
  const std::size_t full_updates = order.size() / size;
  std::vector<std::size_t> bucketed;
  bucketed.reserve(order.size());
  for (std::size_t first = 0; first < full_updates; first += kWindow) {
    const std::size_t count = std::min<std::size_t>(kWindow, full_updates - first);
    const auto begin = order.begin() + static_cast<std::ptrdiff_t>(first * size);
    std::vector<std::size_t> window(begin, begin + static_cast<std::ptrdiff_t>(count * size));
    sort_by_length(window, lengths_);
    const auto number = static_cast<std::int64_t>(first) / kWindow;
    for (std::size_t update : shuffled(count, options_.seed, stream(epoch, 1 + number))) {
      const auto source = window.begin() + static_cast<std::ptrdiff_t>(update * size);
      bucketed.insert(bucketed.end(), source, source + static_cast<std::ptrdiff_t>(size));
    }
  }
  bucketed.insert(bucketed.end(), order.begin() + static_cast<std::ptrdiff_t>(full_updates * size),
                  order.end());
  return bucketed;
}

std::vector<std::vector<std::size_t>> evaluation_batches(const std::vector<EncodedRow>& rows,
                                                         std::int64_t max_tokens) {
  const auto lengths = lengths_of(rows);
  std::vector<std::size_t> numbers(rows.size());
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  sort_by_length(numbers, lengths);
  return pack(numbers, lengths, max_tokens, Layout::padded);
}

double padding_share(const std::vector<EncodedRow>& rows, const Sampler& sampler) {
  const auto lengths = lengths_of(rows);
  std::int64_t real = 0, computed = 0;
  for (std::int64_t number = 0; number < sampler.updates_per_epoch(); ++number) {
    for (const auto& batch : sampler.update(number).micro_batches) {
      real += position_count(batch, lengths, Layout::packed);
      computed += position_count(batch, lengths, sampler.layout());
    }
  }
  return 1.0 - static_cast<double>(real) / static_cast<double>(computed);
}

}  // namespace lora
