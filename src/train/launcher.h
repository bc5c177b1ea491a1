#pragma once

#include <string>

namespace lora {

/// How this process was started, as the environment says.
struct Launch {
  std::string launcher;  ///< "mpirun", "srun"; empty for a process that was started alone
  int processes = 1;     ///< that were started together; 1 if that is not said
};

Launch read_launch();

}  // namespace lora
