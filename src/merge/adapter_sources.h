#pragma once

#include <string>
#include <vector>

#include "lora/adapter/adapter.h"
#include "lora/checkpoint/adapter_folder.h"

namespace lora {

/// The adapters that a command line names ("a b:0.5"), read, with their weights.
class AdapterSources {
 public:
  /// usage error for a malformed item; otherwise as read_adapter_folder.
  explicit AdapterSources(const std::vector<std::string>& items);

  /// As fit_adapter. The program must outlive the mix.
  void fit(const Program& program);
  const AdapterMix& mix() const { return mix_; }

  const std::vector<AdapterFolder>& folders() const { return folders_; }
  double weight(std::size_t i) const { return weights_[i]; }
  std::int64_t tensor_count() const;

 private:
  std::vector<AdapterFolder> folders_;
  std::vector<double> weights_;
  std::vector<Adapter> adapters_;
  AdapterMix mix_;
};

}  // namespace lora
