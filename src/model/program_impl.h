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
#include "model/model_facts.h"
#include "model/narrow_op.h"
#include "model/sites.h"

namespace lora {

struct MethodGraph;

struct Program::Impl {
  std::filesystem::path path;
  ModelFacts facts;
  bool is_known;    ///< from an earlier process: whole, its weights finite, its fingerprint
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
  bool splits_at_boundary = false;
  bool is_as_loaded = true;               ///< no weight was replaced, nothing moved
  std::shared_ptr<NarrowWeights> narrow;  ///< null: float32 throughout
  mutable at::Tensor plain_probe;         ///< probe_logits()
  mutable std::optional<bool> split;
  mutable std::optional<std::shared_ptr<const MethodGraph>> packed;
  std::vector<std::string> wanted_rewrites;
  mutable std::optional<std::vector<RewriteCount>> rewrites;

  /// Loads and lowers `file`.
  Impl(std::filesystem::path file, const Cache& cache, bool decodes);

  /// Fingerprint of weights that hold no NaN or Inf: as known, or begun to be computed. file error for
  /// others.
  void check_weights();

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

  /// `compute`d at the first time that this file is asked for the fact `name`.
  template <class Function>
  Json fact(const std::string& name, Function compute) const {
    Json known = is_as_loaded ? facts.find(name) : Json();
    if (!known.is_null()) return known;
    known = compute();
    if (is_as_loaded) facts.keep(name, known);
    return known;
  }

 private:
  void index_weights();
  std::vector<RewriteCount> try_rewrites() const;
};

}  // namespace lora
