#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "lora/data/batch.h"
#include "lora/train/schedule.h"
#include "train/memory_estimate.h"
#include "train/probe.h"
#include "train/session.h"
#include "train/trainee.h"

namespace lora {

/// Targets whose paths differ in numbers only.
struct TargetGroup {
  std::string name;  ///< "model.layers.*.self_attn.q_proj"
  std::int64_t count = 0;
  std::string layers;  ///< "0-29"; empty without layer numbers
};

/// What a training is going to do, known before its first update.
struct Plan {
  int ranks = 1, threads = 1;  ///< processes, and cores of each
  int lanes = 1;               ///< groups of these that share an update
  std::string model, method, data_summary, valid_summary;
  std::vector<TargetGroup> targets;
  std::vector<std::string> saved_modules;
  std::int64_t total_parameters = 0, trainable_parameters = 0;
  std::int64_t rows = 0, tokens = 0, labelled = 0, valid_rows = 0, overlap = 0;
  std::vector<RewriteCount> rewrites;
  bool packed = false;
  double padding_share = 0;
  std::int64_t batch_size = 0, updates_per_epoch = 0, total_updates = 0;
  Schedule schedule;
  Probe largest;  ///< pass over the largest micro-batch
  MemoryEstimate memory;
  double seconds = 0;  ///< estimated training time, dry run only
};

/// `exact`: measures the largest micro-batch itself; otherwise memory is extrapolated from a short pass.
Plan make_plan(const Session& session, Trainee& trainee, const Sampler& sampler, bool exact);

std::string plan_text(const Plan& plan);
Json plan_json(const Plan& plan);

/// Groups targets by their path with its numbers replaced by "*".
std::vector<TargetGroup> group_targets(const std::vector<Target>& targets);

/// {0,1,2,5} -> "0-2,5".
std::string number_ranges(const std::vector<int>& sorted);

}  // namespace lora
