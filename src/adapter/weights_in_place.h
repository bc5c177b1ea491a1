#pragma once

#include <map>
#include <string>

#include "lora/model/program.h"

namespace lora {

/// Puts replacement weights (an adapter's saved_weights) into a program for as long as it lives.
class WeightsInPlace {
 public:
  WeightsInPlace(Program& program, const std::map<std::string, at::Tensor>& weights);
  ~WeightsInPlace();
  WeightsInPlace(const WeightsInPlace&) = delete;
  WeightsInPlace& operator=(const WeightsInPlace&) = delete;

 private:
  Program& program_;
  std::map<std::string, at::Tensor> originals_;
};

}  // namespace lora
