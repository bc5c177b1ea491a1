#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace lora {

/// Moves bytes between the processes of a training, its ranks, which all make the same calls in the same
/// order. A buffer is cut into one slice for each rank: that of rank r is [cuts[r], cuts[r + 1]) in bytes.
///
/// Each call waits for all ranks; RankLost error if one of them does not come within the time-out.
class Transport {
 public:
  using Cuts = std::span<const std::size_t>;

  Transport() = default;
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  virtual int rank() const = 0;
  virtual int count() const = 0;

  /// Every rank's slice of its `values` goes to all others.
  virtual void share(std::byte* values, Cuts cuts) = 0;
  /// Rank r's slice of `values` goes to rank r, which has those of all ranks in `received`, in their order.
  virtual void scatter(const std::byte* values, Cuts cuts, std::byte* received) = 0;
};

/// The transport that a launcher (mpirun, srun) has prepared; null for a process that was started alone.
///
/// `timeout_seconds`: how long ranks wait for each other. usage error if this process is one of several and
/// the program or the launcher cannot connect them.
std::unique_ptr<Transport> open_transport(double timeout_seconds);

}  // namespace lora
