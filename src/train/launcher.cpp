#include "train/launcher.h"

#include <algorithm>
#include <cstdlib>

namespace lora {
namespace {

/// Variables that launchers set to the number of processes: Open MPI's, those of MPICH and its kin, Slurm's.
constexpr struct {
  const char *variable, *launcher;
} kCounts[] = {{"OMPI_COMM_WORLD_SIZE", "mpirun"}, {"PMI_SIZE", "mpirun"}, {"SLURM_STEP_NUM_TASKS", "srun"}};

}  // namespace

Launch read_launch() {
  for (const auto& [variable, launcher] : kCounts) {
    if (const char* count = std::getenv(variable)) return {launcher, std::max(1, std::atoi(count))};
  }
  return {};
}

}  // namespace lora
