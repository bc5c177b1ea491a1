#pragma once

#include <ATen/core/ivalue.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lora/model/program.h"
#include "model/lowering.h"
#include "model/sites.h"

namespace lora {

struct Program::Impl {
  std::filesystem::path path;
  ModelInfo info;
  Lowered lowered;
  std::vector<Site> sites;
  std::vector<std::string> unsited;
  std::map<std::string, std::size_t> weight_of_path;
  at::Device device = at::kCPU;
  mutable std::string fingerprint;
  mutable std::optional<bool> selectable;

  /// Finds sites, roles and slices, and completes `info`, by graph and by one run on a small probe.
  void analyse(const torch::jit::Module& module);

  /// What the graph takes for these inputs: inputs, then weights.
  std::vector<c10::IValue> stack(const ModelInputs& inputs) const;

  /// Small valid inputs: ids 1, 2, 3 ... within the vocabulary; the last row is padded by two.
  ModelInputs probe_inputs() const;

  /// Whether the head can be given chosen rows only: tried once on the probe, without hooks.
  bool can_select_rows() const;

 private:
  void index_weights();
  void complete_info(const at::Tensor& logits);
};

}  // namespace lora
