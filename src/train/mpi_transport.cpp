#define OMPI_SKIP_MPICXX 1
#include <mpi.h>
#include <sched.h>

#include <chrono>
#include <thread>
#include <vector>

#include "lora/base/error.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "train/launcher.h"
#include "train/rank_errors.h"
#include "train/transport.h"

namespace lora {
namespace {

/// While ranks wait for each other they give way to others on their core; after this long they sleep between
/// looks, since one of them is then computing.
constexpr double kAwakeSeconds = 2e-3;
constexpr auto kNap = std::chrono::microseconds(100);

/// How much longer than the first rank the others wait, which then can save what was reached: a launcher may
/// end all processes when one has ended.
constexpr double kLongerWait = 1.25;

/// MPI with calls that do not block, so that a rank which is gone is noticed. The order in which MPI adds
/// numbers depends on the number of ranks, their places and the library; it is left to move bytes.
class MpiTransport : public Transport {
 public:
  explicit MpiTransport(double timeout_seconds) {
    int given = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &count_);
    patience_ = rank_ == 0 ? timeout_seconds : timeout_seconds * kLongerWait;
  }

  ~MpiTransport() override {
    try {
      if (!lost_) wait([](MPI_Request* request) { MPI_Ibarrier(MPI_COMM_WORLD, request); });
    } catch (const RankLost&) {
    }
    if (!lost_) MPI_Finalize();  // would wait for the lost one for ever
  }

  int rank() const override { return rank_; }
  int count() const override { return count_; }

  void share(std::byte* values, Cuts cuts) override {
    const Slices slices(cuts);
    wait([&](MPI_Request* request) {
      MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, values, slices.sizes.data(), slices.begins.data(), MPI_BYTE,
                      MPI_COMM_WORLD, request);
    });
  }

  void scatter(const std::byte* values, Cuts cuts, std::byte* received) override {
    const Slices slices(cuts);
    const int own = slices.sizes[static_cast<std::size_t>(rank_)];
    const std::vector<int> sizes(slices.sizes.size(), own);
    std::vector<int> begins;
    for (int rank = 0; rank < count_; ++rank) begins.push_back(rank * own);
    wait([&](MPI_Request* request) {
      MPI_Ialltoallv(values, slices.sizes.data(), slices.begins.data(), MPI_BYTE, received, sizes.data(),
                     begins.data(), MPI_BYTE, MPI_COMM_WORLD, request);
    });
  }

 private:
  /// Cuts as MPI takes them.
  struct Slices {
    std::vector<int> begins, sizes;
    explicit Slices(Cuts cuts) {
      for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
        begins.push_back(static_cast<int>(cuts[i]));
        sizes.push_back(static_cast<int>(cuts[i + 1] - cuts[i]));
      }
    }
  };

  template <class Start>
  void wait(Start start) {
    const double begin = monotonic_seconds();
    MPI_Request request = MPI_REQUEST_NULL;
    start(&request);
    for (int done = 0;;) {
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (done) return;
      const double waited = monotonic_seconds() - begin;
      if (waited > patience_) {
        lost_ = true;
        throw RankLost(waited);
      }
      waited < kAwakeSeconds ? void(sched_yield()) : std::this_thread::sleep_for(kNap);
    }
  }

  int rank_ = 0, count_ = 1;
  double patience_ = 0;
  bool lost_ = false;
};

}  // namespace

std::unique_ptr<Transport> open_transport(double timeout_seconds) {
  const Launch launch = read_launch();
  if (launch.launcher.empty()) return nullptr;
  auto transport = std::make_unique<MpiTransport>(timeout_seconds);
  if (transport->count() == launch.processes) return transport;
  throw Error(
      ExitCode::usage,
      cat(launch.launcher, " started ", launch.processes, " processes, and MPI connects ", transport->count(),
          " of them"),
      "start them with the launcher of the MPI library that the program was built with; with Slurm: srun "
      "--mpi=KIND, where srun --mpi=list names the kinds");
}

}  // namespace lora
