#include "train/boundary_store.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

#include "base/file_writing.h"
#include "base/zip_archive.h"
#include "lora/base/cache.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/sha256.h"
#include "train/loss_gradient.h"

namespace lora {
namespace {

constexpr const char* kKind = "activations";
constexpr std::uint64_t kWritten = std::uint64_t{1} << 32;  ///< of a row's mark; below it is the checksum

std::string_view bytes_of(const at::Tensor& contiguous) {
  return {static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes()};
}

template <class Number>
void hash_numbers(Sha256& hash, const std::vector<Number>& numbers) {
  const std::size_t count = numbers.size();
  hash.update(&count, sizeof count).update(numbers.data(), count * sizeof(Number));
}

/// Everything that the activations follow from, and what tells which ones they are.
std::string key_of(const Session& session, const Trainee& trainee, Layout layout) {
  const Program& program = session.model.program;
  Sha256 hash;
  hash.update(cat(program.fingerprint(), "|", file_identity(program.path()), "|", program_identity(), "|",
                  cpu_name(), "|", program.device().str(), "|", at::toString(program.precision()), "|",
                  session.config.base_dtype, "|", layout == Layout::packed, "|"));
  for (const RewriteCount& rewrite : program.rewrites()) hash.update(cat(rewrite.name, "|"));
  for (const auto& [name, tensor] : trainee.adapter().tensors()) hash.update(cat(name, "|"));
  for (const EncodedRow& row : session.rows.rows) {
    hash_numbers(hash, row.ids);
    hash_numbers(hash, row.types);
  }
  return hash.hex();
}

bool read_at(int file, void* into, std::size_t bytes, std::uint64_t position) {
  auto* place = static_cast<char*>(into);
  while (bytes > 0) {
    const auto count =
        uninterrupted([&] { return ::pread(file, place, bytes, static_cast<off_t>(position)); });
    if (count <= 0) return false;
    place += count;
    position += static_cast<std::uint64_t>(count);
    bytes -= static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace

std::unique_ptr<BoundaryStore> BoundaryStore::open(const Session& session, const Trainee& trainee,
                                                   Layout layout) {
  if (!session.config.cache_activations || trainee.is_full() || !trainee.executable().has_boundary() ||
      !session.model.cache.is_on())
    return nullptr;
  const at::NoGradGuard no_grad;
  const auto& rows = session.rows.rows;
  const auto shortest =
      std::min_element(rows.begin(), rows.end(),
                       [](const EncodedRow& a, const EncodedRow& b) { return a.ids.size() < b.ids.size(); });
  const Batch batch = micro_batch(session, std::vector<const EncodedRow*>{&*shortest}, layout);
  const at::Tensor sample = trainee.executable().boundary(batch.inputs);
  const bool fits = sample.dim() == 3 && sample.size(0) == batch.rows && sample.size(1) == batch.time;
  if (!fits) return nullptr;
  std::unique_ptr<BoundaryStore> store(new BoundaryStore(session, trainee, sample));
  return store->begin(key_of(session, trainee, layout)) ? std::move(store) : nullptr;
}

BoundaryStore::BoundaryStore(const Session& session, const Trainee& trainee, const at::Tensor& sample)
    : session_(session),
      trainee_(trainee),
      options_(at::TensorOptions(sample.scalar_type())),
      width_(sample.size(2)) {
  const std::uint64_t token_bytes = static_cast<std::uint64_t>(width_) * sample.element_size();
  for (const EncodedRow& row : session.rows.rows) {
    lengths_.push_back(input_length(row, session.task()));
    positions_.push_back(bytes_);
    bytes_ += sizeof(std::uint64_t) + static_cast<std::uint64_t>(lengths_.back()) * token_bytes;
  }
}

BoundaryStore::~BoundaryStore() {
  if (file_ >= 0) ::close(file_);
}

bool BoundaryStore::begin(const std::string& key) {
  const auto place = session_.model.cache.place_for(kKind, key, bytes_);
  if (!place) return false;
  path_ = *place;
  file_ = uninterrupted([&] { return disk::open(path_, O_RDWR | O_CREAT, 0600); });
  const bool usable = file_ >= 0 && ::flock(file_, LOCK_EX | LOCK_NB) == 0 &&
                      disk::ftruncate(file_, static_cast<off_t>(bytes_)) == 0;
  if (!usable)
    log_warn("cache", "activations are not kept: \"", path_.string(), "\": ", std::strerror(errno));
  return usable;
}

template <class Function>
bool BoundaryStore::all_parts(const std::vector<std::size_t>& rows, const at::Tensor& boundary,
                              Function function) const {
  const bool packed = boundary.size(0) == 1;
  std::int64_t place = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const at::Tensor all = boundary[packed ? 0 : static_cast<std::int64_t>(i)];
    if (!function(rows[i], all.narrow(0, packed ? place : 0, lengths_[rows[i]]))) return false;
    place += lengths_[rows[i]];
  }
  return true;
}

void BoundaryStore::attach(Batch& batch, const std::vector<std::size_t>& rows) {
  const at::NoGradGuard no_grad;
  at::Tensor boundary = at::zeros({batch.rows, batch.time, width_}, options_);
  if (read(rows, boundary)) {
    batch.inputs.boundary = boundary.to(batch.inputs.input_ids.device());
    return;
  }
  batch.inputs.boundary = trainee_.executable().boundary(batch.inputs);
  write(rows, batch.inputs.boundary.cpu());
}

bool BoundaryStore::read(const std::vector<std::size_t>& rows, at::Tensor& boundary) const {
  return all_parts(rows, boundary,
                   [&](std::size_t row, const at::Tensor& part) { return read_row(row, part); });
}

bool BoundaryStore::read_row(std::size_t row, const at::Tensor& into) const {
  std::uint64_t mark = 0;
  if (!read_at(file_, &mark, sizeof mark, positions_[row]) || mark < kWritten) return false;
  const bool whole = read_at(file_, into.mutable_data_ptr(), into.nbytes(), positions_[row] + sizeof mark) &&
                     mark == (kWritten | zip_checksum(bytes_of(into)));
  if (!whole) log_warn("cache", "a row of \"", path_.string(), "\" is damaged, and computed again");
  return whole;
}

void BoundaryStore::write(const std::vector<std::size_t>& rows, const at::Tensor& boundary) {
  const std::lock_guard lock(mutex_);
  if (!writes_) return;
  try {
    all_parts(rows, boundary, [&](std::size_t row, const at::Tensor& part) {
      const at::Tensor values = part.contiguous();
      const std::uint64_t mark = kWritten | zip_checksum(bytes_of(values));
      if (::lseek(file_, static_cast<off_t>(positions_[row]), SEEK_SET) < 0) throw_errno("write", path_);
      write_all(file_, {reinterpret_cast<const char*>(&mark), sizeof mark}, path_);
      write_all(file_, bytes_of(values), path_);
      return true;
    });
  } catch (const Error& error) {
    writes_ = false;
    log_warn("cache", "no more activations are kept, the layers below are computed again: ", error.what());
  }
}

}  // namespace lora
