#pragma once

#include <cstdint>

/// One head's attention in tiles, on plain memory.
namespace lora {

constexpr std::int64_t kTileQueries = 48, kTileKeys = 64;

/// Numbers by rows: row i begins at data + i * stride.
template <typename T>
struct RowsOf {
  T* data = nullptr;
  std::int64_t stride = 0;
  T* operator[](std::int64_t i) const { return data + i * stride; }
};

/// A block's keys, or its values, of one head: as they are, and tile by tile turned to [d][kTileKeys], the
/// last one filled up with zeros.
struct TileKeys {
  RowsOf<const float> rows;
  const float* turned = nullptr;
};

/// Queries [first, first + count) of a block, of one head. A causal one sees the keys up to its own number.
struct TileQueries {
  RowsOf<const float> q;  ///< of the first of them on; so are all rows by query
  TileKeys k, v;
  std::int64_t first = 0, count = 0, keys = 0, d = 0;
  bool causal = false;
  float scale = 1;
};

/// Numbers that turned keys take.
inline std::int64_t turned_size(std::int64_t keys, std::int64_t d) {
  return (keys + kTileKeys - 1) / kTileKeys * kTileKeys * d;
}

void turn_keys(RowsOf<const float> rows, std::int64_t keys, std::int64_t d, float* turned);

/// out = softmax(scale q k^T) v and the normalisers; v needs no turned tiles.
void tile_forward(const TileQueries& tile, RowsOf<float> out, float* normaliser);

/// Writes dq, adds to dk and dv, whose rows are those of the block's keys.
struct TileGradients {
  RowsOf<const float> dout, out;
  const float* normaliser = nullptr;
  RowsOf<float> dq, dk, dv;
};
void tile_backward(const TileQueries& tile, const TileGradients& gradients);

}  // namespace lora
