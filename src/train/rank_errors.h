#pragma once

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

/// Another rank did not come within the time-out: it is dead, stuck or cut off.
class RankLost : public Error {
 public:
  explicit RankLost(double waited)
      : Error(ExitCode::stopped, cat("another rank has not answered for ", human_seconds(waited)),
              "look for its end in the launcher's output; --rank-timeout says how long ranks wait") {}
};

/// Another rank has ended with an error that it reports itself.
class FailedElsewhere : public Error {
 public:
  FailedElsewhere(ExitCode code, int rank)
      : Error(code, cat("rank ", rank, " has failed with exit code ", static_cast<int>(code))) {}
};

}  // namespace lora
