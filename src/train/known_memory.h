#pragma once

#include <optional>
#include <string>
#include <thread>

#include "lora/base/cache.h"
#include "lora/config/train_config.h"
#include "lora/data/example.h"
#include "train/memory_estimate.h"
#include "train/probe.h"
#include "train/ranks.h"

namespace lora {

/// What a training was found to need, kept for later processes: their first update waits for no measured
/// pass.
struct KnownMemory {
  Probe largest;  ///< pass over the largest micro-batch
  MemoryEstimate memory;
};

/// Tells trainings that need the same memory; known before the model is read.
std::string memory_key(const TrainConfig& config, int threads, const Ranks& ranks, const DataSet& data,
                       const std::optional<DataSet>& valid);

std::optional<KnownMemory> recall_memory(const Cache& cache, const std::string& key);
void keep_memory(const KnownMemory& known, const Cache& cache, const std::string& key);

/// A thread that makes the pages resident that an update will take, while the model is read: the first update
/// would else wait for the system to clear them, a gigabyte a second. Ends with the object. None if this
/// training is not known or has one core.
std::jthread make_pages_ahead(const Cache& cache, const std::string& key, int threads);

}  // namespace lora
