#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "lora/adapter/method.h"
#include "lora/model/program.h"

namespace lora {

/// A method at a target with its tensors and its own rank and alpha.
struct AdaptedTarget {
  Target target;
  MethodConfig config;
  SiteTensors tensors;
  /// The factors at the start of a training whose start is not the base (PiSSA, OLoRA): their product is
  /// subtracted.
  SiteTensors origin = {};

  /// The same update without origin: factors [A; A0] and [B, -B0] of twice the rank and the same scale.
  AdaptedTarget plain() const;
};

/// Rows of an embedding that are trained by themselves (PEFT's trainable_token_indices).
struct TokenRows {
  std::string module;              ///< path of the embedding
  std::vector<std::string> paths;  ///< of the weight in the file: Weight::path and aliases
  std::vector<std::int64_t> ids;   ///< rising
  at::Tensor values;               ///< the rows' new values [ids, dim], float32
  std::vector<const Site*> sites;  ///< all uses of the weight: the embedding, a tied head
};

/// A set of trained tensors tied to one program's sites (the program must outlive it).
struct Adapter {
  std::vector<AdaptedTarget> targets;
  /// Whole weights trained beside them (PEFT's modules_to_save): path in the file -> replacement.
  std::map<std::string, at::Tensor> saved_weights;
  /// Which of saved_weights are there as biases: "none", "all" or "lora_only" (of the targets), as in PEFT.
  std::string bias = "none";
  std::vector<TokenRows> token_rows;

  /// All trained tensors, in a fixed order, with stable names.
  std::vector<std::pair<std::string, at::Tensor*>> tensors();
  std::vector<std::pair<std::string, const at::Tensor*>> tensors() const;
  std::int64_t parameter_count() const;
};

/// A target with the rank, alpha and start that it gets.
struct ConfiguredTarget {
  Target target;
  MethodConfig config;
};

/// Fresh adapter. `modules_to_save`: module paths or suffixes whose parameters are trained whole; usage error
/// if one matches nothing, or if the rank exceeds a target's size. Mismatch error if one weight would be
/// adapted twice (tied sites, a target inside a saved module) or if a saved weight is tied to another.
Adapter create_adapter(const Program& program, const std::vector<ConfiguredTarget>& targets,
                       const std::vector<std::string>& modules_to_save, std::uint64_t seed);
/// The same with one configuration for all.
Adapter create_adapter(const Program& program, const std::vector<Target>& targets, const MethodConfig& config,
                       const std::vector<std::string>& modules_to_save, std::uint64_t seed);

/// Trains biases whole, too: "all" of the model's or "lora_only" those of the targets. usage error if there
/// are none, which names `option` if another than --bias asked for them.
void add_biases(const Program& program, Adapter& adapter, const std::string& mode,
                const std::string& option = "");

/// Trains the rows `ids` of the embedding at `module` (the input embedding if empty), also where a head
/// shares them. mismatch error for ids outside the vocabulary and for a weight that the adapter trains
/// already.
void add_token_rows(const Program& program, Adapter& adapter, const std::string& module,
                    const std::vector<std::int64_t>& ids);

/// Hooks for Program::executable. `adapter` and `training` are read at every pass, so a trainer may switch
/// dropout and another adapter may be moved into place; both must outlive the hooks.
std::vector<HookedSite> make_hooks(const Adapter& adapter, const bool& training);

/// Several adapters at once, each with the factor of its update.
struct WeightedAdapter {
  const Adapter* adapter = nullptr;
  double weight = 1;
};
using AdapterMix = std::vector<WeightedAdapter>;

/// Hooks that add every adapter's weighted update: y = y0 + sum over i of weight_i (y_i - y0). Without
/// dropout; the adapters must outlive them.
std::vector<HookedSite> make_hooks(const AdapterMix& mix);

/// Merged weights by path in the file, one rounding each, ready for Program::save; includes saved_weights.
/// Mismatch error if a merged weight is tied to one that must not change (embedding and head) unless
/// Program::save unties it, and if the merge would change nothing.
std::map<std::string, at::Tensor> merged_weights(const Program& program, const Adapter& adapter);

}  // namespace lora
