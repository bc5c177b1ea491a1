#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lora/data/batch.h"
#include "train/session.h"
#include "train/trainee.h"

namespace lora {

/// What enters the first trained layer (Executable::boundary), of every row, in one file of the cache: rows
/// are written when they are first computed and read from then on, in this training and in later ones on the
/// same rows with the same layers trained, and the layers below are not computed for batches whose rows are
/// all there.
///
/// Rows are kept one by one, so that epochs may order and pack them anew. What enters a batch is then what
/// another batch computed: the same up to the rounding that the shape of a product makes.
///
/// The file has, for each row in order, 8 bytes that tell that it is there with its checksum, then [time, d]
/// numbers. A row that does not have its checksum is computed again.
class BoundaryStore {
 public:
  /// Null if nothing lies below what is trained, if there is no cache or no room in it, or if another process
  /// writes the file.
  static std::unique_ptr<BoundaryStore> open(const Session& session, const Trainee& trainee, Layout layout);
  ~BoundaryStore();
  BoundaryStore(const BoundaryStore&) = delete;
  BoundaryStore& operator=(const BoundaryStore&) = delete;

  /// Sets batch.inputs.boundary of a micro-batch of these rows. Lanes may call it at the same time.
  void attach(Batch& batch, const std::vector<std::size_t>& rows);

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  BoundaryStore(const Session& session, const Trainee& trainee, const at::Tensor& sample);
  bool begin(const std::string& key);
  /// False if a row is not there.
  bool read(const std::vector<std::size_t>& rows, at::Tensor& boundary) const;
  bool read_row(std::size_t row, const at::Tensor& into) const;
  void write(const std::vector<std::size_t>& rows, const at::Tensor& boundary);
  /// True if function(row, its [time, d] of a batch's activation) is for all of them; ends at the first for
  /// which it is not.
  template <class Function>
  bool all_parts(const std::vector<std::size_t>& rows, const at::Tensor& boundary, Function function) const;

  const Session& session_;
  const Trainee& trainee_;
  at::TensorOptions options_;  ///< of one activation, on the CPU
  std::int64_t width_;
  std::vector<std::int64_t> lengths_;     ///< of rows, as inputs
  std::vector<std::uint64_t> positions_;  ///< in the file, of rows
  std::uint64_t bytes_ = 0;
  std::filesystem::path path_;
  int file_ = -1;
  std::mutex mutex_;    ///< of what writes, which moves the file's position
  bool writes_ = true;  ///< until the disk does not take more
};

}  // namespace lora
