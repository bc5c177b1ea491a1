#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lora/data/example.h"

namespace lora {

/// The classes of a classifier: a label is a class's name, or its index where no class has that name.
class ClassLabels {
 public:
  explicit ClassLabels(std::vector<std::string> names);

  std::optional<std::int64_t> find(const std::string& label) const;

  /// Data error listing every label of the data that is no class, with its count and first row.
  void check(const DataSet& data) const;

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::int64_t> index_;
};

}  // namespace lora
