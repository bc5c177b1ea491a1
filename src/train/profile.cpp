#include "train/profile.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/text_table.h"
#include "lora/base/process.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char* kNames[] = {"data",      "forward",    "backward", "exchange",
                                  "optimizer", "validation", "saving"};

/// Rows and columns of the product that shows the roof: its operands exceed the caches of a core.
constexpr std::int64_t kSide = 1024;
constexpr int kRepeats = 20;

double measured_roof(at::ScalarType type, at::Device device) {
  const at::NoGradGuard no_grad;
  const auto options = at::dtype(type).device(device);
  const at::Tensor a = at::ones({kSide, kSide}, options), b = at::ones({kSide, kSide}, options);
  double best = 1e9;
  for (int i = 0; i < kRepeats; ++i) {
    const double start = monotonic_seconds();
    at::mm(a, b).select(0, 0).select(0, 0).item<double>();
    best = std::min(best, monotonic_seconds() - start);
  }
  return 2.0 * kSide * kSide * kSide / best;
}

thread_local const Profile::Lane* lane_of_thread = nullptr;

std::string percent(double share) { return fixed(share * 100, 1) + " %"; }

std::string human_flops(double flops) { return human_count(static_cast<std::uint64_t>(flops)); }

}  // namespace

Profile::Profile(const Program& program)
    : roof_(measured_roof(program.precision(), program.device())),
      roof_type_(program.precision() == at::kFloat  ? "fp32"
                 : program.precision() == at::kHalf ? "fp16"
                                                    : "bf16") {
  all_.memory.restart_peak();
}

Profile::Lane::Lane(Profile* profile, int lanes) : share_(1.0 / lanes) {
  if (!profile) return;
  counters_.emplace();
  lane_of_thread = this;
}

Profile::Lane::~Lane() { lane_of_thread = nullptr; }

Profile::Scope::Scope(Profile* profile, Phase phase) : profile_(profile), phase_(phase) {
  if (!profile_) return;
  counters_ = lane_of_thread ? &*lane_of_thread->counters_ : &profile_->all_;
  share_ = lane_of_thread ? lane_of_thread->share_ : 1;
  profile_->all_.memory.restart_peak();
  allocated_ = counters_->memory.allocated_bytes();
  products_ = counters_->products.count();
  start_ = monotonic_seconds();
}

Profile::Scope::~Scope() {
  if (!profile_) return;
  const double seconds = monotonic_seconds() - start_;
  const MemoryMeter& memory = profile_->all_.memory;
  const std::lock_guard lock(profile_->mutex_);
  Cost& cost = profile_->costs_[static_cast<std::size_t>(phase_)];
  cost.seconds += seconds * share_;
  cost.allocated_bytes += counters_->memory.allocated_bytes() - allocated_;
  cost.highest_bytes = std::max(cost.highest_bytes, memory.peak_bytes());
  cost.products += counters_->products.count() - products_;
  const std::uint64_t live = memory.live_bytes();
  if (phase_ == Phase::forward && live > profile_->before_update_)
    profile_->kept_bytes_ = std::max(profile_->kept_bytes_, live - profile_->before_update_);
}

void Profile::begin_update() {
  before_update_ = all_.memory.live_bytes();
  large_before_update_ = all_.memory.large_allocations();
}

void Profile::end_update(const StepResult& result) {
  const std::int64_t large = all_.memory.large_allocations() - large_before_update_;
  ++updates_;
  if (updates_ == 1) {
    allocations_.first = large;
    first_ = passes();
  }
  if (updates_ == 2) allocations_.least = allocations_.most = large;
  if (updates_ > 2) {
    allocations_.least = std::min(allocations_.least, large);
    allocations_.most = std::max(allocations_.most, large);
  }
  tokens_ += result.tokens;
  positions_ += result.positions;
  labelled_ += result.labelled;
}

Profile::Passes Profile::passes() const {
  Passes sum{cost(Phase::forward).seconds, cost(Phase::forward).products};
  sum.seconds += cost(Phase::backward).seconds;
  sum.products += cost(Phase::backward).products;
  return sum;
}

/// Without the first update, if there are others.
double Profile::share_of_roof() const {
  const Passes all = passes(), before = updates_ > 1 ? first_ : Passes{};
  const ProductCount products = all.products - before.products;
  return static_cast<double>(products.sum()) / (roof_ * std::max(1e-9, all.seconds - before.seconds));
}

Json Profile::json() const {
  Json phases = Json::object();
  for (std::size_t i = 0; i < costs_.size(); ++i) {
    const Cost& each = costs_[i];
    phases[kNames[i]] = {{"seconds", each.seconds},
                         {"allocated_bytes", each.allocated_bytes},
                         {"highest_bytes", each.highest_bytes},
                         {"gemm_flops", each.products.gemm},
                         {"attention_flops", each.products.attention}};
  }
  return {{"updates", updates_},
          {"phases", phases},
          {"roof_flops_per_second", roof_},
          {"roof_type", roof_type_},
          {"share_of_roof", share_of_roof()},
          {"tokens", tokens_},
          {"computed_tokens", positions_},
          {"labelled", labelled_},
          {"kept_bytes", kept_bytes_},
          {"large_allocations",
           {{"first", allocations_.first}, {"least", allocations_.least}, {"most", allocations_.most}}}};
}

std::string Profile::text() const {
  double seconds = 0;
  for (const Cost& each : costs_) seconds += each.seconds;
  const auto updates = static_cast<double>(std::max<std::int64_t>(1, updates_));
  TextTable table({"phase", "time", "share", "products", "allocated", "highest"});
  for (std::size_t i = 0; i < costs_.size(); ++i) {
    const Cost& each = costs_[i];
    if (each.seconds == 0) continue;
    table.add({kNames[i], human_seconds(each.seconds), percent(each.seconds / std::max(1e-9, seconds)),
               human_flops(static_cast<double>(each.products.sum())), human_bytes(each.allocated_bytes),
               human_bytes(each.highest_bytes)});
  }
  const ProductCount products = passes().products;
  const auto sum = static_cast<double>(products.sum());
  return cat(table.str(), "products  ", human_flops(sum / updates), " operations an update, ",
             percent(static_cast<double>(products.attention) / std::max(1.0, sum)), " of them attention; ",
             percent(share_of_roof()), " of the roof of ", human_flops(roof_), " a second (", roof_type_,
             ")\n", "tokens    ", tokens_, " of ", positions_, " computed ones are real, ", labelled_,
             " labelled\n", "memory    ", human_bytes(kept_bytes_), " kept for the backward pass at most; ",
             allocations_.first, " large allocations in the first update, ", allocations_.least, " to ",
             allocations_.most, " in each further one\n");
}

}  // namespace lora
