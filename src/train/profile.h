#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "base/json.h"
#include "lora/model/program.h"
#include "train/memory_meter.h"
#include "train/product_counter.h"
#include "train/step.h"

namespace lora {

enum class Phase { data, forward, backward, exchange, optimizer, validation, saving };

/// What a training spends on each of its phases (--profile): seconds, tensor bytes, products. Counts are of
/// the thread that makes it, of the lanes it runs, and of nothing before; its own life lies within that
/// thread.
class Profile {
 public:
  /// Measures what rate a large product reaches, in the type of the program's products.
  explicit Profile(const Program& program);

  /// Of a thread, and of those that inherit its information for LibTorch.
  struct Counters {
    MemoryMeter memory;
    ProductCounter products;
  };

  /// What a lane does in its life, on its thread, counts as a part of the time of all.
  class Lane {
   public:
    Lane(Profile* profile, int lanes);
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

   private:
    friend class Profile;
    std::optional<Counters> counters_;
    double share_;
  };

  /// The time from construction to destruction belongs to a phase; phases do not nest. Without a profile:
  /// nothing.
  class Scope {
   public:
    Scope(Profile* profile, Phase phase);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Profile* profile_;
    Phase phase_;
    const Counters* counters_ = nullptr;
    double share_ = 1, start_ = 0;
    std::uint64_t allocated_ = 0;
    ProductCount products_;
  };

  void begin_update();
  void end_update(const StepResult& result);

  Json json() const;
  std::string text() const;

 private:
  struct Cost {
    double seconds = 0;
    std::uint64_t allocated_bytes = 0;
    std::uint64_t highest_bytes = 0;  ///< of tensors alive at once during the phase
    ProductCount products;
  };
  /// Large allocations of an update.
  struct Allocations {
    std::int64_t first = 0, least = 0, most = 0;  ///< the last two of the updates after the first
  };

  /// Forward and backward passes.
  struct Passes {
    double seconds = 0;
    ProductCount products;
  };

  const Cost& cost(Phase phase) const { return costs_[static_cast<std::size_t>(phase)]; }
  Passes passes() const;
  double share_of_roof() const;

  Counters all_;
  std::mutex mutex_;  ///< of what lanes add to
  std::array<Cost, 7> costs_;
  double roof_ = 0;  ///< floating-point operations a second
  std::string roof_type_;
  std::int64_t updates_ = 0, tokens_ = 0, positions_ = 0, labelled_ = 0;
  std::uint64_t kept_bytes_ = 0;     ///< alive when a forward pass ended, beyond those before the update
  std::uint64_t before_update_ = 0;  ///< bytes alive
  std::int64_t large_before_update_ = 0;
  Allocations allocations_;
  Passes first_;  ///< of the first update, which warms up
};

/// What `work` gives, its time a phase's.
template <class Work>
auto profiled(Profile* profile, Phase phase, Work work) {
  const Profile::Scope scope(profile, phase);
  return work();
}

}  // namespace lora
