#include "adapter/weights_in_place.h"

#include <ATen/ATen.h>

namespace lora {

WeightsInPlace::WeightsInPlace(Program& program, const std::map<std::string, at::Tensor>& weights)
    : program_(program) {
  for (const auto& [path, value] : weights) {
    originals_[path] = program_.weight(path).value;
    program_.set_weight(path, value);
  }
}

WeightsInPlace::~WeightsInPlace() {
  for (const auto& [path, value] : originals_) program_.set_weight(path, value);
}

}  // namespace lora
