#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "adapter/weights_in_place.h"
#include "eval/loaded_model.h"
#include "eval/row_feed.h"
#include "eval/variant_spec.h"
#include "lora/adapter/adapter.h"
#include "lora/checkpoint/run_folder.h"
#include "lora/model/cached_executable.h"

namespace lora {

/// A variant that can run: the resident base, an adapter on it, or a model file of its own.
class Variant {
 public:
  /// Reads and fits what the spec names. mismatch error for an adapter of another base, for a model of
  /// another task, vocabulary, list of classes or a shorter context, and for another tokenizer.
  Variant(VariantSpec spec, LoadedModel& base);

  const VariantSpec& spec() const { return spec_; }
  /// True if it keeps a model file of its own in memory.
  bool owns_model() const { return own_ != nullptr; }
  /// Runs `work(executable)` with the variant's weights in place.
  template <class Work>
  auto run(Work&& work) const {
    const WeightsInPlace in_place(*program_, adapter_->saved_weights);
    return work(*executable_);
  }

  /// True if its file offers `decode`, with a cache of keys and values.
  bool has_cache() const { return cached().has_value(); }
  /// Runs `work(feed)`, new rows with the cache if there is one, with the variant's weights in place.
  template <class Work>
  auto write(std::int32_t pad, Work&& work) const {
    return run([&](const Executable& executable) {
      const at::Device device = program_->device();
      const auto feed =
          has_cache() ? cached_feed(*cached(), device, pad) : recomputing_feed(executable, device, pad);
      return work(*feed);
    });
  }

  std::optional<std::int64_t> trainable_parameters() const;  ///< unknown for a plain model file
  std::uint64_t file_bytes() const { return file_bytes_; }
  const std::optional<RunReport>& training() const { return training_; }

 private:
  void use_adapter(const std::filesystem::path& folder, const LoadedModel& base);
  void use_model(const std::filesystem::path& file, const LoadedModel& base);
  const std::optional<CachedExecutable>& cached() const;

  VariantSpec spec_;
  std::unique_ptr<Program> own_;
  Program* program_;
  std::unique_ptr<Adapter> adapter_;
  std::optional<Executable> executable_;
  /// Lowered when it is first asked for; the inner one is empty if the file has no `decode`.
  mutable std::optional<std::optional<CachedExecutable>> cached_;
  std::optional<RunReport> training_;
  std::uint64_t file_bytes_ = 0;
};

/// Finds what the constructor would refuse, without the work on a model file that only running it takes.
/// Errors name the variant.
void check_variant(const VariantSpec& spec, LoadedModel& base);

/// Number of elements of the model's parameters, tied ones counted once.
std::int64_t parameter_count(const Program& program);

}  // namespace lora
