#pragma once

#include <ATen/core/ivalue.h>

#include <future>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lora/model/program.h"
#include "model/archive.h"
#include "model/lowering.h"
#include "model/narrow_op.h"
#include "model/sites.h"

namespace lora {

struct MethodGraph;

struct Program::Impl {
  std::filesystem::path path;
  Archive archive;  ///< as loaded
  ModelInfo info;
  Lowered lowered;
  std::vector<Site> sites;
  std::vector<std::string> unsited;
  std::map<std::string, std::size_t> weight_of_path;
  at::Device device = at::kCPU;
  std::shared_future<std::string> fingerprint;
  at::ScalarType precision = at::kFloat;
  bool keeps_narrow = false;  ///< weights of sites are in a narrower type than activations
  bool checkpoints_activations = false;
  std::shared_ptr<NarrowWeights> narrow;  ///< null: float32 throughout
  mutable at::Tensor plain_probe;         ///< probe_logits()
  mutable std::optional<bool> split;
  mutable std::optional<std::shared_ptr<const MethodGraph>> packed;
  std::vector<std::string> wanted_rewrites;
  mutable std::optional<std::vector<RewriteCount>> rewrites;

  /// Loads and lowers `file`.
  explicit Impl(std::filesystem::path file);

  /// Finds sites, roles and slices by graph and by one run on a small probe.
  void analyse();

  /// Fills in what the file says nothing about.
  void complete_info();

  /// What the graph takes for these inputs: inputs, then weights.
  std::vector<c10::IValue> stack(const ModelInputs& inputs) const;

  /// The plain graph's logits on probe_inputs(), computed once.
  const at::Tensor& probe_logits() const;

  /// Small valid inputs: ids 1, 2, 3 ... within the vocabulary; the last row is padded by two.
  ModelInputs probe_inputs() const;

  /// Whether the graph can be cut in front of the head: tried once on the probe, without hooks.
  bool can_split() const;

  /// Whether the end of the graph can work on chosen rows alone, beside these rewrites: tried on the probe.
  bool can_select_rows(std::vector<std::string> names) const;

  /// The method `packed` if it can be used: tried once on the probe, without hooks. Null if not.
  std::shared_ptr<const MethodGraph> usable_packed() const;

  /// The wanted rewrites that apply: tried once on the probe, without hooks.
  const std::vector<RewriteCount>& usable_rewrites() const;
  std::vector<std::string> usable_rewrite_names() const;

 private:
  void index_weights();
};

}  // namespace lora
