#include "lora/base/error.h"
#include "lora/base/text.h"
#include "train/launcher.h"
#include "train/transport.h"

namespace lora {

std::unique_ptr<Transport> open_transport(double timeout_seconds) {
  const Launch launch = read_launch();
  if (launch.processes == 1) return nullptr;
  throw Error(
      ExitCode::usage,
      cat(launch.launcher, " started ", launch.processes,
          " processes, and this program was built without MPI: each would train alone"),
      "install an MPI library with its headers and build with -DLORA_WITH_MPI=ON, or start one process");
}

}  // namespace lora
