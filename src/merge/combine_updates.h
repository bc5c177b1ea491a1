#pragma once

#include <map>
#include <optional>

#include "lora/model/program.h"
#include "merge/combine_sources.h"
#include "merge/fit_report.h"
#include "merge/low_rank_fit.h"
#include "merge/task_vectors.h"

namespace lora {

/// The low-rank part of a combined adapter.
struct CombinedUpdates {
  std::vector<ModuleUpdate> modules;
  std::map<std::string, std::vector<RankBlock>> blocks;
  std::vector<ModuleFit> fits;  ///< of approximated modules; empty if all is exact
  std::int64_t folded = 0;      ///< factors B that were multiplied by what is no power of two, and so rounded
};

/// sum_i c_i s_i B_i A_i (c_i: factors) without approximation: A = [A_1; A_2; ...], B = [c_1 s_1 / s B_1,
/// ...] for each slice of a module, with s = |c_1 s_1|, so that the first factors keep their bits and so do
/// others of the same scale.
CombinedUpdates concatenate(const std::vector<CombineSource>& sources, const std::vector<double>& factors);

/// The nearest updates of at most `rank` to that sum: SVD of the products, in float64.
CombinedUpdates concatenate_and_truncate(const std::vector<CombineSource>& sources,
                                         const std::vector<double>& factors, std::int64_t rank);

struct DenseOptions {
  TaskMerge merge;
  std::optional<std::int64_t> rank;  ///< default: the largest that any source has in the module
  bool exact = false;
  std::uint64_t seed = 0;
};

/// Merges dense updates, module by module, and approximates each by an SVD. `base` gives updates that depend
/// on it; null if all sources are plain.
CombinedUpdates merge_dense(const std::vector<CombineSource>& sources, const std::vector<double>& factors,
                            const DenseOptions& options, const Program* base);

}  // namespace lora
