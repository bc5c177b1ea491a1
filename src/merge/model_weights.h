#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lora/checkpoint/adapter_folder.h"
#include "lora/model/site.h"

namespace lora {

/// What is known of a weight without its values.
struct WeightFacts {
  std::vector<std::int64_t> shape;
  bool trainable = false;  ///< a floating-point parameter
  bool tied = false;       ///< also serves under another path
};

/// A model's weights by plain path ("model.layers.0.mlp.up_proj.weight"), one at a time.
class ModelWeights {
 public:
  virtual ~ModelWeights() = default;
  virtual const std::filesystem::path& path() const = 0;
  virtual const std::map<std::string, WeightFacts>& facts() const = 0;
  virtual at::Tensor load(const std::string& weight) const = 0;
  /// Site::weight is a plain path.
  virtual const std::vector<Site>& sites() const = 0;
  virtual std::string task_type() const = 0;
  virtual AdapterProvenance provenance() const = 0;
};

/// A TorchScript file, or a folder with config.json and model*.safetensors as transformers writes it. file
/// error if it is neither.
std::unique_ptr<ModelWeights> open_model_weights(const std::filesystem::path& path);

}  // namespace lora
