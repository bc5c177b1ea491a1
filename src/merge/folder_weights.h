#pragma once

#include <vector>

#include "base/json.h"
#include "merge/hf_folder.h"
#include "merge/model_weights.h"

namespace lora {

/// The weights of a transformers folder, mapped: memory holds the tensors that are in use.
///
/// The files have no graph, so that names tell what a matrix is: the usual names of embeddings, heads,
/// attention and MLP projections, and for GPT-2 those of its Conv1D modules, whose weights are [in, out]. Any
/// other matrix is linear.
class FolderWeights : public ModelWeights {
 public:
  explicit FolderWeights(const std::filesystem::path& folder);

  const std::filesystem::path& path() const override { return folder_.path(); }
  const std::map<std::string, WeightFacts>& facts() const override { return facts_; }
  at::Tensor load(const std::string& weight) const override { return folder_.tensor(weight); }
  const std::vector<Site>& sites() const override { return sites_; }
  std::string task_type() const override;
  AdapterProvenance provenance() const override;

 private:
  void find_sites();

  HfFolder folder_;
  Json config_;
  std::map<std::string, WeightFacts> facts_;
  std::vector<Site> sites_;
};

}  // namespace lora
