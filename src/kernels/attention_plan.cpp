#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>

#include "lora/kernels/attention.h"

namespace lora {
namespace {

using Kind = AttentionBlock::Kind;

/// What additive masks take away at least.
constexpr double kHidden = -1e4;

/// Keys [begin, end) that one query sees; none if there are gaps.
struct Interval {
  std::int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
};

Interval seen_keys(const bool* row, std::int64_t stride, std::int64_t keys) {
  std::int64_t begin = 0;
  while (begin < keys && !row[begin * stride]) ++begin;
  std::int64_t end = begin;
  while (end < keys && row[end * stride]) ++end;
  for (std::int64_t rest = end; rest < keys; ++rest)
    if (row[rest * stride]) return {};
  return {begin, end};
}

std::vector<Interval> intervals_of(const at::Tensor& seen) {
  const std::int64_t queries = seen.size(0), keys = seen.size(1);
  std::vector<Interval> intervals(static_cast<std::size_t>(queries));
  const bool* values = seen.const_data_ptr<bool>();
  at::parallel_for(0, queries, std::max<std::int64_t>(1, (1 << 16) / std::max<std::int64_t>(1, keys)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i)
                       intervals[static_cast<std::size_t>(i)] =
                           seen_keys(values + i * seen.stride(0), seen.stride(1), keys);
                   });
  return intervals;
}

/// The longest block that starts with query `first`: equal intervals, a triangle of a document, or the
/// smallest rectangle around intervals that move on (a sliding window), which keeps its mask.
AttentionBlock block_at(const std::vector<Interval>& seen, std::int64_t first) {
  const auto count = static_cast<std::int64_t>(seen.size());
  const auto at = [&](std::int64_t i) { return seen[static_cast<std::size_t>(i)]; };
  const Interval start = at(first);
  const auto length = [&](auto fits) {
    std::int64_t last = first + 1;
    while (last < count && fits(last)) ++last;
    return last - first;
  };
  const std::int64_t equal =
      length([&](std::int64_t i) { return at(i).begin == start.begin && at(i).end == start.end; });
  if (start.end == start.begin + 1) {
    const std::int64_t triangle = length(
        [&](std::int64_t i) { return at(i).begin == start.begin && at(i).end == start.end + (i - first); });
    if (triangle >= equal) return {first, triangle, start.begin, triangle, Kind::causal};
  }
  if (equal > 1 || count == 1) return {first, equal, start.begin, start.end - start.begin, Kind::full};
  const std::int64_t moving = length([&](std::int64_t i) {
    return at(i).begin >= at(i - 1).begin && at(i).begin < at(i - 1).end && at(i).end > at(i - 1).end;
  });
  if (moving == 1) return {first, 1, start.begin, start.end - start.begin, Kind::full};
  return {first, moving, start.begin, at(first + moving - 1).end - start.begin, Kind::masked};
}

std::vector<AttentionBlock> blocks_of(const std::vector<Interval>& seen) {
  std::vector<AttentionBlock> blocks;
  for (std::int64_t query = 0; query < static_cast<std::int64_t>(seen.size()); query += blocks.back().queries)
    blocks.push_back(block_at(seen, query));
  return blocks;
}

/// True where a key is seen; undefined if the mask is neither bool nor additive.
at::Tensor seen_by(const at::Tensor& mask) {
  if (mask.scalar_type() == at::kBool) return mask;
  if (!at::isFloatingType(mask.scalar_type())) return {};
  const at::Tensor seen = mask.eq(0);
  return seen.logical_or(mask.le(kHidden)).all().item<bool>() ? seen : at::Tensor();
}

}  // namespace

std::int64_t AttentionPlan::score_count() const {
  std::int64_t count = 0;
  for (const auto& blocks : rows)
    for (const AttentionBlock& block : blocks)
      count +=
          block.kind == Kind::causal ? block.queries * (block.queries + 1) / 2 : block.queries * block.keys;
  return count;
}

std::optional<AttentionPlan> plan_attention(const at::Tensor& mask) {
  if (mask.dim() != 4 || !mask.is_cpu()) return std::nullopt;
  if (mask.size(1) != 1 && mask.stride(1) != 0) return std::nullopt;
  const at::Tensor seen = seen_by(mask.select(1, 0));  // [batch, queries, keys]
  if (!seen.defined()) return std::nullopt;
  AttentionPlan plan;
  bool masked = false;
  for (std::int64_t row = 0; row < seen.size(0); ++row) {
    const std::vector<Interval> intervals = intervals_of(seen[row]);
    if (std::any_of(intervals.begin(), intervals.end(), [](const Interval& each) { return each.empty(); }))
      return std::nullopt;
    plan.rows.push_back(blocks_of(intervals));
    masked |= std::any_of(plan.rows.back().begin(), plan.rows.back().end(),
                          [](const AttentionBlock& block) { return block.kind == Kind::masked; });
  }
  if (std::equal(plan.rows.begin() + 1, plan.rows.end(), plan.rows.begin()) && !masked) plan.rows.resize(1);
  if (masked) {
    plan.additive = at::zeros(seen.sizes(), seen.options().dtype(at::kFloat));
    plan.additive.masked_fill_(seen.logical_not(), -std::numeric_limits<float>::infinity());
    plan.additive = plan.additive.unsqueeze(1);
  }
  return plan;
}

AttentionPlan plan_attention(std::int64_t queries, std::int64_t keys, bool causal) {
  return {{{{0, queries, 0, keys, causal ? Kind::causal : Kind::full}}}, {}};
}

}  // namespace lora
