#include "kernels/tiled_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <vector>

#include "kernels/tile.h"

namespace lora {
namespace {

/// Turning keys costs as much as the scores of so many queries.
constexpr std::int64_t kFewQueries = 8;

/// A block of a batch row, whose turned keys begin at `turned` within each key head's.
struct Piece {
  const AttentionBlock* block;
  std::int64_t turned;
};

/// All blocks of the batch by row, and where in memory their heads are.
class Layout {
 public:
  Layout(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionPlan& plan,
         double scale)
      : q_(by_vectors(q)), k_(by_vectors(k)), v_(by_vectors(v)), scale_(static_cast<float>(scale)) {
    const bool alike = plan.rows.size() == 1;
    for (std::int64_t row = 0; row < q.size(0); ++row) {
      first_.push_back(pieces_.size());
      std::int64_t turned = 0;
      for (const AttentionBlock& block : plan.rows[alike ? 0 : static_cast<std::size_t>(row)]) {
        pieces_.push_back({&block, turned});
        turned += turned_size(block.keys, d());
      }
      turned_ = std::max(turned_, turned);
    }
    first_.push_back(pieces_.size());
  }

  std::int64_t rows() const { return q_.size(0); }
  std::int64_t heads() const { return q_.size(1); }
  std::int64_t key_heads() const { return k_.size(1); }
  std::int64_t group() const { return heads() / key_heads(); }
  std::int64_t d() const { return q_.size(3); }

  /// Keys, or values, by tiles: [batch, key heads, what the row with most takes].
  at::Tensor turned_keys() const { return turned(k_); }
  at::Tensor turned_values() const { return turned(v_); }

  /// Calls visit(block, tile) for each tile of queries of a head.
  template <class Visit>
  void for_each_tile(std::int64_t row, std::int64_t head, const at::Tensor& keys, const at::Tensor& values,
                     const Visit& visit) const {
    for (std::size_t i = first_[row]; i < first_[row + 1]; ++i) {
      const Piece& piece = pieces_[i];
      const AttentionBlock& block = *piece.block;
      const auto operand = [&](const at::Tensor& all, const at::Tensor& turned) {
        const float* tiles = turned.defined() ? turned.const_data_ptr<float>() + piece.turned +
                                                    (row * key_heads() + head / group()) * turned_
                                              : nullptr;
        return TileKeys{rows_of<const float>(all, row, head / group(), block.key), tiles};
      };
      TileQueries tile{{}, operand(k_, keys), operand(v_, values), 0, 0, block.keys, d(), false, scale_};
      tile.causal = block.kind == AttentionBlock::Kind::causal;
      for (; tile.first < block.queries; tile.first += kTileQueries) {
        tile.count = std::min(kTileQueries, block.queries - tile.first);
        tile.q = rows_of<const float>(q_, row, head, block.query + tile.first);
        visit(block, tile);
      }
    }
  }

  /// Row `time` of a head on.
  template <class T>
  static RowsOf<T> rows_of(const at::Tensor& all, std::int64_t row, std::int64_t head, std::int64_t time) {
    const std::int64_t offset = row * all.stride(0) + head * all.stride(1) + time * all.stride(2);
    if constexpr (std::is_const_v<T>)
      return {all.const_data_ptr<float>() + offset, all.stride(2)};
    else
      return {all.mutable_data_ptr<float>() + offset, all.stride(2)};
  }

  static at::Tensor by_vectors(const at::Tensor& all) { return all.stride(3) == 1 ? all : all.contiguous(); }

  /// Work on each head of each row, in parallel.
  template <class Work>
  void for_each_head(std::int64_t heads, const Work& work) const {
    at::parallel_for(0, rows() * heads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) work(i / heads, i % heads);
    });
  }

 private:
  at::Tensor turned(const at::Tensor& all) const {
    at::Tensor tiles = at::empty({rows(), key_heads(), turned_}, all.options());
    auto* to = tiles.mutable_data_ptr<float>();
    for_each_head(key_heads(), [&](std::int64_t row, std::int64_t head) {
      for (std::size_t i = first_[row]; i < first_[row + 1]; ++i)
        turn_keys(rows_of<const float>(all, row, head, pieces_[i].block->key), pieces_[i].block->keys, d(),
                  to + (row * key_heads() + head) * turned_ + pieces_[i].turned);
    });
    return tiles;
  }

  at::Tensor q_, k_, v_;
  float scale_;
  std::vector<Piece> pieces_;
  std::vector<std::size_t> first_;  ///< piece of each row
  std::int64_t turned_ = 0;
};

/// Sums of what each query head of a group gives to its key head, laid out by time.
at::Tensor sum_of_group(const at::Tensor& by_head, std::int64_t group) {
  if (group == 1) return by_head;
  const std::int64_t heads = by_head.size(1) / group;
  at::Tensor sum =
      empty_by_time({by_head.size(0), heads, by_head.size(2), by_head.size(3)}, by_head.options());
  at::sum_out(sum, by_head.unflatten(1, {heads, group}), {2});
  return sum;
}

/// Operations of `products` products over all scores, each of which takes 2 d.
std::int64_t operations(const at::Tensor& q, const AttentionPlan& plan, std::int64_t products) {
  const std::int64_t alike = plan.rows.size() == 1 ? q.size(0) : 1;
  return products * 2 * q.size(3) * q.size(1) * alike * plan.score_count();
}

/// Shows observers of LibTorch's operations one of ours, with its number of operations.
class RecordedProducts {
 public:
  explicit RecordedProducts(std::int64_t count)
      : inputs_{c10::IValue(count)}, call_(at::RecordScope::FUNCTION) {
    call_.before(kRecordedProducts, &inputs_);
  }

 private:
  std::vector<c10::IValue> inputs_;
  at::RecordFunction call_;
};

}  // namespace

at::Tensor empty_by_time(at::IntArrayRef sizes, at::TensorOptions options) {
  return at::empty({sizes[0], sizes[2], sizes[1], sizes[3]}, options).transpose(1, 2);
}

bool tiles_fit(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionPlan& plan) {
  const auto plain = [](const at::Tensor& each) { return each.is_cpu() && each.scalar_type() == at::kFloat; };
  return plain(q) && plain(k) && plain(v) && !plan.additive.defined() && q.size(2) > kFewQueries &&
         q.size(3) % 16 == 0 && v.size(3) == q.size(3);
}

std::vector<at::Tensor> tiled_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                        const AttentionPlan& plan, double scale) {
  const RecordedProducts recorded(operations(q, plan, 2));
  const Layout layout(q, k, v, plan, scale);
  const at::Tensor out = empty_by_time(q.sizes(), q.options()), keys = layout.turned_keys(),
                   normaliser = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
  auto* normalisers = normaliser.mutable_data_ptr<float>();
  layout.for_each_head(layout.heads(), [&](std::int64_t row, std::int64_t head) {
    layout.for_each_tile(row, head, keys, {}, [&](const AttentionBlock& block, const TileQueries& tile) {
      const std::int64_t time = block.query + tile.first;
      tile_forward(tile, Layout::rows_of<float>(out, row, head, time),
                   normalisers + (row * layout.heads() + head) * q.size(2) + time);
    });
  });
  return {out, normaliser};
}

AttentionGradients tiled_attention_backward(const at::Tensor& dout_, const at::Tensor& q, const at::Tensor& k,
                                            const at::Tensor& v, at::TensorList results,
                                            const AttentionPlan& plan, double scale) {
  const RecordedProducts recorded(operations(q, plan, 5));
  const Layout layout(q, k, v, plan, scale);
  const at::Tensor dout = Layout::by_vectors(dout_), keys = layout.turned_keys(),
                   values = layout.turned_values();
  const at::Tensor dq = empty_by_time(q.sizes(), q.options());
  const auto for_heads = [&](const at::Tensor& all) {
    return empty_by_time({all.size(0), q.size(1), all.size(2), all.size(3)}, all.options()).zero_();
  };
  const at::Tensor dk = for_heads(k), dv = for_heads(v);
  const auto* normalisers = results[1].const_data_ptr<float>();
  layout.for_each_head(layout.heads(), [&](std::int64_t row, std::int64_t head) {
    layout.for_each_tile(row, head, keys, values, [&](const AttentionBlock& block, const TileQueries& tile) {
      const std::int64_t time = block.query + tile.first;
      tile_backward(tile, {Layout::rows_of<const float>(dout, row, head, time),
                           Layout::rows_of<const float>(results[0], row, head, time),
                           normalisers + (row * layout.heads() + head) * q.size(2) + time,
                           Layout::rows_of<float>(dq, row, head, time),
                           Layout::rows_of<float>(dk, row, head, block.key),
                           Layout::rows_of<float>(dv, row, head, block.key)});
    });
  });
  return {dq, sum_of_group(dk, layout.group()), sum_of_group(dv, layout.group())};
}

}  // namespace lora
