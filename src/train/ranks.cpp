#include "train/ranks.h"

#include <algorithm>

#include "train/rank_errors.h"

namespace lora {
namespace {

/// Bytes that are summed at once, which bounds the memory it takes.
constexpr std::size_t kBlockBytes = std::size_t{16} << 20;

/// Cuts `length` values of `size` bytes into equal slices.
std::vector<std::size_t> equal_cuts(std::size_t length, std::size_t size, std::size_t count) {
  std::vector<std::size_t> cuts;
  for (std::size_t rank = 0; rank <= count; ++rank) cuts.push_back(length * rank / count * size);
  return cuts;
}

}  // namespace

template <class Call>
void Ranks::together(Call call) {
  try {
    call(*transport_);
  } catch (const RankLost&) {
    ended_ = true;
    throw;
  }
}

std::vector<Ranks::Message> Ranks::exchange(const Message& mine) {
  const auto ranks = static_cast<std::size_t>(count());
  std::vector<Message> messages(ranks);
  messages[static_cast<std::size_t>(rank())] = mine;
  together([&](Transport& transport) {
    transport.share(reinterpret_cast<std::byte*>(messages.data()), equal_cuts(ranks, sizeof(Message), ranks));
  });
  return messages;
}

std::vector<Ranks::Numbers> Ranks::gather(const Numbers& mine) {
  if (!transport_) return {mine};
  std::vector<Numbers> all;
  for (const auto& [code, numbers] : exchange({0, mine})) {
    if (code != 0) {
      ended_ = true;
      throw FailedElsewhere(static_cast<ExitCode>(code), static_cast<int>(all.size()));
    }
    all.push_back(numbers);
  }
  return all;
}

bool Ranks::agree(double mine) {
  const auto all = gather({mine});
  return std::all_of(all.begin(), all.end(),
                     [&](const Numbers& theirs) { return theirs[0] == all.front()[0]; });
}

template <class Value>
void Ranks::sum_slices(Transport& transport, std::span<Value> values) {
  const auto ranks = static_cast<std::size_t>(count()), own = static_cast<std::size_t>(rank());
  const std::size_t block_length = std::min(values.size(), kBlockBytes / sizeof(Value));
  for (std::size_t begin = 0; begin < values.size(); begin += block_length) {
    const std::span<Value> block = values.subspan(begin, std::min(block_length, values.size() - begin));
    const auto cuts = equal_cuts(block.size(), sizeof(Value), ranks);
    Value* const slice = block.data() + cuts[own] / sizeof(Value);
    const std::size_t length = (cuts[own + 1] - cuts[own]) / sizeof(Value);
    received_.resize(std::max(received_.size(), ranks * length * sizeof(Value)));
    transport.scatter(reinterpret_cast<const std::byte*>(block.data()), cuts, received_.data());
    sums_.assign(length, 0);
    for (std::size_t each = 0; each < ranks; ++each) {
      const Value* const theirs = reinterpret_cast<const Value*>(received_.data()) + each * length;
      for (std::size_t i = 0; i < length; ++i) sums_[i] += static_cast<double>(theirs[i]);
    }
    std::transform(sums_.begin(), sums_.end(), slice, [](double sum) { return static_cast<Value>(sum); });
    transport.share(reinterpret_cast<std::byte*>(block.data()), cuts);
  }
}

void Ranks::sum(std::span<float> values) {
  if (transport_) together([&](Transport& transport) { sum_slices(transport, values); });
}

void Ranks::sum(std::span<double> values) {
  if (transport_) together([&](Transport& transport) { sum_slices(transport, values); });
}

bool Ranks::farewell(ExitCode code) noexcept {
  if (!transport_ || ended_) return false;
  ended_ = true;
  try {
    const auto messages = exchange({static_cast<double>(code), {}});
    return std::all_of(messages.begin(), messages.begin() + rank(),
                       [](const Message& earlier) { return earlier.code == 0; });
  } catch (const std::exception&) {
    return true;
  }
}

}  // namespace lora
