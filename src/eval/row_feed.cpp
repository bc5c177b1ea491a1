#include "eval/row_feed.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "eval/device_batch.h"

namespace lora {
namespace {

std::size_t longest(const std::vector<TokenIds>& rows) {
  std::size_t time = 0;
  for (const TokenIds& row : rows) time = std::max(time, row.size());
  return time;
}

at::Tensor logits_on_cpu(const at::Tensor& logits) { return logits.to(at::kFloat).cpu().contiguous(); }

class CachedFeed : public RowFeed {
 public:
  CachedFeed(const CachedExecutable& model, at::Device device, std::int32_t pad)
      : model_(model), device_(device), pad_(pad) {}

  at::Tensor feed(const std::vector<TokenIds>& added) override {
    const auto rows = static_cast<std::int64_t>(added.size()),
               time = static_cast<std::int64_t>(longest(added));
    if (!mask_.defined()) {
      mask_ = at::zeros({rows, 0}, at::kLong);
      lengths_.assign(added.size(), 0);
    }
    at::Tensor ids = at::full({rows, time}, pad_, at::kLong), mask = at::zeros({rows, time}, at::kLong);
    at::Tensor places = at::zeros({rows, time}, at::kLong);
    auto id = ids.accessor<std::int64_t, 2>(), seen = mask.accessor<std::int64_t, 2>(),
         place = places.accessor<std::int64_t, 2>();
    for (std::int64_t b = 0; b < rows; ++b) {
      const TokenIds& row = added[static_cast<std::size_t>(b)];
      std::int64_t t = time - static_cast<std::int64_t>(row.size());
      for (const std::int32_t token : row) {
        id[b][t] = token;
        seen[b][t] = 1;
        place[b][t++] = lengths_[static_cast<std::size_t>(b)]++;
      }
    }
    mask_ = at::cat({mask_, mask}, 1);
    return logits_on_cpu(model_.next_logits(
        {to_device(ids, device_), to_device(mask_, device_), to_device(places, device_)}, cache_));
  }

  void select(const std::vector<std::int64_t>& rows) override {
    if (!mask_.defined()) return;
    const at::Tensor chosen = at::tensor(rows, at::kLong);
    cache_.select(to_device(chosen, device_));
    mask_ = mask_.index_select(0, chosen);
    std::vector<std::int64_t> lengths;
    for (const std::int64_t row : rows) lengths.push_back(lengths_[static_cast<std::size_t>(row)]);
    lengths_ = std::move(lengths);
  }

 private:
  const CachedExecutable& model_;
  at::Device device_;
  std::int32_t pad_;
  KeyValueCache cache_;
  at::Tensor mask_;                    ///< [rows, columns so far]
  std::vector<std::int64_t> lengths_;  ///< real tokens of each row
};

class RecomputingFeed : public RowFeed {
 public:
  RecomputingFeed(const Executable& model, at::Device device, std::int32_t pad)
      : model_(model), device_(device), pad_(pad) {}

  at::Tensor feed(const std::vector<TokenIds>& added) override {
    rows_.resize(added.size());
    for (std::size_t b = 0; b < added.size(); ++b)
      rows_[b].insert(rows_[b].end(), added[b].begin(), added[b].end());
    const auto rows = static_cast<std::int64_t>(rows_.size()),
               time = static_cast<std::int64_t>(longest(rows_));
    at::Tensor ids = at::full({rows, time}, pad_, at::kLong), mask = at::zeros({rows, time}, at::kLong);
    at::Tensor last = at::empty({rows}, at::kLong);
    auto id = ids.accessor<std::int64_t, 2>(), seen = mask.accessor<std::int64_t, 2>();
    auto position = last.accessor<std::int64_t, 1>();
    for (std::int64_t b = 0; b < rows; ++b) {
      std::int64_t t = 0;
      for (const std::int32_t token : rows_[static_cast<std::size_t>(b)]) {
        id[b][t] = token;
        seen[b][t++] = 1;
      }
      position[b] = b * time + t - 1;
    }
    return logits_on_cpu(
        model_.logits_at({to_device(ids, device_), to_device(mask, device_), {}}, to_device(last, device_)));
  }

  void select(const std::vector<std::int64_t>& rows) override {
    if (rows_.empty()) return;
    std::vector<TokenIds> chosen;
    for (const std::int64_t row : rows) chosen.push_back(rows_[static_cast<std::size_t>(row)]);
    rows_ = std::move(chosen);
  }

 private:
  const Executable& model_;
  at::Device device_;
  std::int32_t pad_;
  std::vector<TokenIds> rows_;
};

}  // namespace

std::unique_ptr<RowFeed> cached_feed(const CachedExecutable& model, at::Device device, std::int32_t pad) {
  return std::make_unique<CachedFeed>(model, device, pad);
}

std::unique_ptr<RowFeed> recomputing_feed(const Executable& model, at::Device device, std::int32_t pad) {
  return std::make_unique<RecomputingFeed>(model, device, pad);
}

}  // namespace lora
