#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace lora {

/// How well a low-rank update stands for what it was made from.
struct ModuleFit {
  std::string module;
  std::int64_t rank = 0;
  double norm = 0;  ///< of the update that was approximated, Frobenius
  double lost = 0;  ///< norm of the difference

  double error() const { return norm > 0 ? lost / norm : 0; }
};

/// sqrt(sum of lost^2) / sqrt(sum of norm^2).
double total_error(const std::vector<ModuleFit>& fits);

Json fits_json(const std::vector<ModuleFit>& fits);

/// Table by module pattern: count, ranks, relative error of all and of the worst; a last line for everything.
std::string fits_text(const std::vector<ModuleFit>& fits);

}  // namespace lora
