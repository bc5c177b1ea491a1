#include "kernels/tile.h"

#include <algorithm>
#include <limits>

#include "kernels/vector_math.h"

namespace lora {
namespace {

constexpr float kLeast = -std::numeric_limits<float>::max();

/// How many numbers a register holds, and how many such columns of a product are summed at once: with six
/// rows they and what they are made of fill the registers.
template <int numbers, int columns>
struct Level {
  typedef float Vector __attribute__((vector_size(numbers * sizeof(float)), aligned(4), may_alias));
  static constexpr std::int64_t kWidth = numbers;
  static constexpr int kColumns = columns;
};

/// The left factor of a product: element (i, k) of it is data[i * stride + k], or if turned data[k * stride +
/// i].
template <bool turned>
struct Left {
  const float* data;
  std::int64_t stride;
  LORA_INLINE const float* row(std::int64_t i) const { return data + (turned ? i : i * stride); }
  LORA_INLINE std::int64_t step() const { return turned ? stride : 1; }
};

/// What a group of rows of a product needs: its first columns, and terms [begin, end) of each sum.
struct Extent {
  std::int64_t columns, begin, end;
};

template <class Level, int rows, int columns, bool turned>
LORA_INLINE void add_block(Left<turned> a, RowsOf<const float> b, RowsOf<float> c, std::int64_t begin,
                           std::int64_t end, bool add) {
  using Vector = typename Level::Vector;
  Vector sums[rows][columns];
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j)
      sums[i][j] =
          add ? *reinterpret_cast<const Vector*>(c.data + i * c.stride + j * Level::kWidth) : Vector{};
  for (std::int64_t k = begin; k < end; ++k) {
    Vector right[columns];
    for (int j = 0; j < columns; ++j)
      right[j] = *reinterpret_cast<const Vector*>(b.data + k * b.stride + j * Level::kWidth);
    for (int i = 0; i < rows; ++i) {
      const float left = a.row(i)[k * a.step()];
      for (int j = 0; j < columns; ++j) sums[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j)
      *reinterpret_cast<Vector*>(c.data + i * c.stride + j * Level::kWidth) = sums[i][j];
}

template <class Level, int rows, int columns, bool turned>
LORA_INLINE std::int64_t add_columns(std::int64_t first, Left<turned> a, RowsOf<const float> b,
                                     RowsOf<float> c, Extent extent, bool add) {
  constexpr std::int64_t kStep = columns * Level::kWidth;
  for (; first + kStep <= extent.columns; first += kStep)
    add_block<Level, rows, columns>(a, RowsOf<const float>{b.data + first, b.stride},
                                    RowsOf<float>{c.data + first, c.stride}, extent.begin, extent.end, add);
  return first;
}

template <class Level, int rows, bool turned>
LORA_INLINE void add_rows(Left<turned> a, RowsOf<const float> b, RowsOf<float> c, Extent extent, bool add) {
  if (extent.begin >= extent.end) return;
  std::int64_t first = add_columns<Level, rows, Level::kColumns>(0, a, b, c, extent, add);
  if constexpr (Level::kColumns > 2) first = add_columns<Level, rows, 2>(first, a, b, c, extent, add);
  add_columns<Level, rows, 1>(first, a, b, c, extent, add);
}

/// c = a b, or c += a b, where rows [i, i + n) have the extent extent(i, n); columns are rounded up to whole
/// vectors.
template <class Level, bool turned, class ExtentOf>
LORA_INLINE void multiply(std::int64_t rows, Left<turned> a, RowsOf<const float> b, RowsOf<float> c, bool add,
                          ExtentOf extent) {
  const auto from = [&](std::int64_t i) { return Left<turned>{a.row(i), a.stride}; };
  const auto to = [&](std::int64_t i) { return RowsOf<float>{c[i], c.stride}; };
  std::int64_t i = 0;
  for (; i + 6 <= rows; i += 6) add_rows<Level, 6>(from(i), b, to(i), extent(i, 6), add);
  for (; i + 2 <= rows; i += 2) add_rows<Level, 2>(from(i), b, to(i), extent(i, 2), add);
  if (i < rows) add_rows<Level, 1>(from(i), b, to(i), extent(i, 1), add);
}

/// What queries of a tile see of the tile of keys that begins at `key`.
struct Sight {
  const TileQueries& tile;
  std::int64_t key;

  /// Keys of these that query i sees.
  LORA_INLINE std::int64_t of(std::int64_t i) const {
    const std::int64_t all = tile.causal ? std::min(tile.keys, tile.first + i + 1) : tile.keys;
    return std::clamp<std::int64_t>(all - key, 0, kTileKeys);
  }
  /// The first query that sees key n of these.
  LORA_INLINE std::int64_t first(std::int64_t n) const {
    return tile.causal ? std::clamp<std::int64_t>(key + n - tile.first, 0, tile.count) : 0;
  }
  LORA_INLINE std::int64_t largest() const { return of(tile.count - 1); }
};

/// So many numbers that lanes are full.
LORA_INLINE std::int64_t whole_lanes(std::int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

/// Products of queries and keys: columns that are seen, over all of d.
struct Scores {
  Sight sight;
  LORA_INLINE Extent operator()(std::int64_t i, std::int64_t n) const {
    const std::int64_t seen = sight.of(i + n - 1);
    return {whole_lanes(seen), 0, seen > 0 ? sight.tile.d : 0};
  }
};

/// Sums over keys for each query.
struct OverKeys {
  Sight sight;
  LORA_INLINE Extent operator()(std::int64_t i, std::int64_t n) const {
    return {sight.tile.d, 0, sight.of(i + n - 1)};
  }
};

/// Sums over queries for each key.
struct OverQueries {
  Sight sight;
  LORA_INLINE Extent operator()(std::int64_t i, std::int64_t) const {
    return {sight.tile.d, sight.first(i), sight.tile.count};
  }
};

/// The largest of `seen` numbers; those after them become the least there is, until lanes are full.
LORA_INLINE float largest_of(float* row, std::int64_t seen) {
  const std::int64_t computed = whole_lanes(seen);
  for (std::int64_t i = seen; i < computed; ++i) row[i] = kLeast;
  float largest = kLeast;
#pragma omp simd reduction(max : largest)
  for (std::int64_t i = 0; i < computed; ++i) largest = row[i] > largest ? row[i] : largest;
  return largest;
}

/// row = exp(scale row - shift) where seen, 0 beyond; their sum. One loop for each step, so that all become
/// vector code.
LORA_INLINE float exponentials(float* row, std::int64_t seen, float scale, float shift) {
  const std::int64_t computed = whole_lanes(seen);
  for (std::int64_t i = 0; i < computed; ++i) row[i] = vector_exp(scale * row[i] - shift);
  for (std::int64_t i = seen; i < kTileKeys; ++i) row[i] = 0;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < computed; ++i) sum += row[i];
  return sum;
}

LORA_INLINE void scale_row(float* row, std::int64_t d, float factor) {
  for (std::int64_t i = 0; i < d; ++i) row[i] *= factor;
}

LORA_INLINE RowsOf<const float> turned_tile(const TileKeys& keys, std::int64_t first, std::int64_t d) {
  return {keys.turned + first * d, kTileKeys};
}

LORA_INLINE RowsOf<const float> rows_from(const TileKeys& keys, std::int64_t first) {
  return {keys.rows[first], keys.rows.stride};
}

template <class Level>
LORA_INLINE void forward(const TileQueries& tile, RowsOf<float> out, float* normaliser) {
  float scores[kTileQueries * kTileKeys], top[kTileQueries], before[kTileQueries], kept[kTileQueries],
      sums[kTileQueries] = {};
  for (float& each : top) each = kLeast;
  const Left<false> q{tile.q.data, tile.q.stride}, weights{scores, kTileKeys};
  for (std::int64_t key = 0; Sight{tile, key}.largest() > 0; key += kTileKeys) {
    const Sight sight{tile, key};
    multiply<Level>(tile.count, q, turned_tile(tile.k, key, tile.d), RowsOf<float>{scores, kTileKeys}, false,
                    Scores{sight});
    for (std::int64_t i = 0; i < tile.count; ++i) before[i] = top[i];
    for (std::int64_t i = 0; i < tile.count; ++i) {
      const float here = tile.scale * largest_of(scores + i * kTileKeys, sight.of(i));
      top[i] = here > top[i] ? here : top[i];
    }
    for (std::int64_t i = 0; i < tile.count; ++i) kept[i] = vector_exp(before[i] - top[i]);
    for (std::int64_t i = 0; i < tile.count; ++i)
      sums[i] = kept[i] * sums[i] + exponentials(scores + i * kTileKeys, sight.of(i), tile.scale, top[i]);
    for (std::int64_t i = 0; key > 0 && i < tile.count; ++i)
      if (kept[i] != 1.0f) scale_row(out[i], tile.d, kept[i]);
    multiply<Level>(tile.count, weights, rows_from(tile.v, key), out, key > 0, OverKeys{sight});
  }
  for (std::int64_t i = 0; i < tile.count; ++i) {
    scale_row(out[i], tile.d, 1.0f / sums[i]);
    normaliser[i] = top[i] + __builtin_logf(sums[i]);
  }
}

/// sum of a b, of d numbers.
LORA_INLINE float dot(const float* a, const float* b, std::int64_t d) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < d; ++i) sum += a[i] * b[i];
  return sum;
}

/// slopes = scale weights (slopes - shift) where seen, 0 beyond.
LORA_INLINE void differentiate(const float* weights, float* slopes, std::int64_t seen, float scale,
                               float shift) {
  const std::int64_t computed = whole_lanes(seen);
  for (std::int64_t i = 0; i < computed; ++i) slopes[i] = scale * weights[i] * (slopes[i] - shift);
  for (std::int64_t i = seen; i < kTileKeys; ++i) slopes[i] = 0;
}

template <class Level>
LORA_INLINE void backward(const TileQueries& tile, const TileGradients& gradients) {
  float scores[kTileQueries * kTileKeys], slopes[kTileQueries * kTileKeys], shifts[kTileQueries];
  for (std::int64_t i = 0; i < tile.count; ++i) shifts[i] = dot(gradients.dout[i], gradients.out[i], tile.d);
  const Left<false> q{tile.q.data, tile.q.stride}, dout{gradients.dout.data, gradients.dout.stride},
      slopes_of_queries{slopes, kTileKeys};
  const Left<true> weights_of_keys{scores, kTileKeys}, slopes_of_keys{slopes, kTileKeys};
  for (std::int64_t key = 0; Sight{tile, key}.largest() > 0; key += kTileKeys) {
    const Sight sight{tile, key};
    multiply<Level>(tile.count, q, turned_tile(tile.k, key, tile.d), RowsOf<float>{scores, kTileKeys}, false,
                    Scores{sight});
    multiply<Level>(tile.count, dout, turned_tile(tile.v, key, tile.d), RowsOf<float>{slopes, kTileKeys},
                    false, Scores{sight});
    for (std::int64_t i = 0; i < tile.count; ++i) {
      const std::int64_t seen = sight.of(i);
      exponentials(scores + i * kTileKeys, seen, tile.scale, gradients.normaliser[i]);
      differentiate(scores + i * kTileKeys, slopes + i * kTileKeys, seen, tile.scale, shifts[i]);
    }
    const auto rows = [&](const RowsOf<float>& all) { return RowsOf<float>{all[key], all.stride}; };
    multiply<Level>(tile.count, slopes_of_queries, rows_from(tile.k, key), gradients.dq, key > 0,
                    OverKeys{sight});
    multiply<Level>(sight.largest(), weights_of_keys, gradients.dout, rows(gradients.dv), true,
                    OverQueries{sight});
    multiply<Level>(sight.largest(), slopes_of_keys, tile.q, rows(gradients.dk), true, OverQueries{sight});
  }
}

// A function of one name for each level: the program takes that of its machine when it starts.
#define LORA_TILES(TARGET, LEVEL)                                                           \
  TARGET void forward_here(const TileQueries& tile, RowsOf<float> out, float* normaliser) { \
    forward<LEVEL>(tile, out, normaliser);                                                  \
  }                                                                                         \
  TARGET void backward_here(const TileQueries& tile, const TileGradients& gradients) {      \
    backward<LEVEL>(tile, gradients);                                                       \
  }

using Narrow = Level<4, 4>;
#ifdef LORA_VECTOR_LEVELS
using Middle = Level<8, 2>;
using Wide = Level<16, 4>;
LORA_TILES(__attribute__((target("default"))), Narrow)
LORA_TILES(__attribute__((target("arch=x86-64-v3"))), Middle)
LORA_TILES(__attribute__((target("arch=x86-64-v4"))), Wide)
#else
LORA_TILES(, Narrow)
#endif

}  // namespace

void turn_keys(RowsOf<const float> rows, std::int64_t keys, std::int64_t d, float* turned) {
  for (std::int64_t key = 0; key < keys; key += kTileKeys, turned += kTileKeys * d) {
    const std::int64_t here = std::min(kTileKeys, keys - key);
    for (std::int64_t n = 0; n < here; ++n)
      for (std::int64_t k = 0; k < d; ++k) turned[k * kTileKeys + n] = rows[key + n][k];
    for (std::int64_t n = here; n < kTileKeys; ++n)
      for (std::int64_t k = 0; k < d; ++k) turned[k * kTileKeys + n] = 0;
  }
}

void tile_forward(const TileQueries& tile, RowsOf<float> out, float* normaliser) {
  forward_here(tile, out, normaliser);
}

void tile_backward(const TileQueries& tile, const TileGradients& gradients) {
  backward_here(tile, gradients);
}

}  // namespace lora
