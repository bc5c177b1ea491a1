#pragma once

#include <string>
#include <vector>

#include "merge/fit_report.h"
#include "merge/low_rank_fit.h"
#include "merge/model_weights.h"
#include "merge/module_update.h"

namespace lora {

/// A weight that fine-tuning changed and no target covers, or a tied one that a target covers in one of its
/// uses.
struct UncoveredChange {
  std::string weight;
  double norm = 0;      ///< of the change, Frobenius
  bool stored = false;  ///< whole, among modules_to_save
};

/// What an adapter of the difference of two models consists of.
struct Extraction {
  std::vector<ModuleUpdate> modules;
  std::vector<ModuleFit> fits;
  std::vector<std::string> unchanged;  ///< targets that do not differ
  std::vector<UncoveredChange> uncovered;
  std::map<std::string, at::Tensor> whole;  ///< by plain path
  std::vector<std::string> modules_to_save;
  bool has_conv1d = false;

  /// Share of the norm of all changes that the adapter does not hold: sqrt(sum of squares lost / sum of
  /// squares).
  double lost_share() const;
};

/// mismatch error listing every weight that only one model has, or that has different shapes, and another
/// order of classes.
void refuse_different_models(const ModelWeights& base, const ModelWeights& tuned);

/// Approximates tuned - base at each target, one at a time; compares all other weights. `whole` stores
/// modules with changed parameters that are no targets. mismatch error if no target differs (unless something
/// is stored whole), if two targets are one tied weight, or if a weight to be stored whole is tied.
Extraction extract_difference(const ModelWeights& base, const ModelWeights& tuned,
                              const std::vector<Target>& targets, MatrixFitter& fitter, bool whole);

}  // namespace lora
