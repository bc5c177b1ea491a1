#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "train/probe.h"

namespace lora {

/// What a training will need of this machine's memory, in bytes, told before its first update. The highest is
/// when everything that stays meets the largest of what comes and goes.
struct MemoryEstimate {
  // What stays.
  std::uint64_t base = 0;     ///< frozen weights, which processes share where they are those of the file
  std::uint64_t trained = 0;  ///< trained values, their gradients and both moments
  std::uint64_t other = 0;    ///< LibTorch and the program, tokens and data
  // What comes and goes.
  std::uint64_t update = 0;      ///< activations and temporaries of the largest micro-batch
  std::uint64_t validation = 0;  ///< those of the largest batch of validation rows
  std::uint64_t checkpoint = 0;  ///< the state as it is written

  std::uint64_t available = 0;  ///< what the process could have in all; 0 if unknown

  std::uint64_t peak() const;
};

/// `update`: a pass over the largest micro-batch, after which every weight is in memory; each lane makes one.
MemoryEstimate estimate_memory(const Session& session, Trainee& trainee, const Probe& update, int lanes);

/// Sets what is not a matter of the training alone: the checkpoint, if any will be written, and what is
/// available.
void add_circumstances(MemoryEstimate& memory, Trainee& trainee, bool saves);

/// "about 2.1 GiB at peak: base 513 MiB, trained 14 MiB, an update 1.3 GiB, other 270 MiB (20 GiB
/// available)".
std::string memory_text(const MemoryEstimate& memory);
Json memory_json(const MemoryEstimate& memory);
MemoryEstimate memory_of(const Json& json);

}  // namespace lora
