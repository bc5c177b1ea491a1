#include "merge/adapter_sources.h"

#include "merge/weighted_adapter.h"

namespace lora {

AdapterSources::AdapterSources(const std::vector<std::string>& items) {
  for (const WeightedAdapterPath& each : parse_weighted_adapters(items)) {
    folders_.push_back(read_adapter_folder(each.path));
    weights_.push_back(each.weight);
  }
}

void AdapterSources::fit(const Program& program) {
  adapters_.clear();
  mix_.clear();
  for (const AdapterFolder& folder : folders_) adapters_.push_back(fit_adapter(folder, program));
  for (std::size_t i = 0; i < adapters_.size(); ++i) mix_.push_back({&adapters_[i], weights_[i]});
}

std::int64_t AdapterSources::tensor_count() const {
  std::int64_t count = 0;
  for (const AdapterFolder& folder : folders_) count += static_cast<std::int64_t>(folder.tensors.size());
  return count;
}

}  // namespace lora
