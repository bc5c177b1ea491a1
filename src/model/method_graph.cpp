#include "model/method_graph.h"

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "model/device.h"

namespace lora {

MethodGraph::MethodGraph(const Program::Impl& program, const std::string& method,
                         const std::vector<std::string>& inputs, std::size_t outputs)
    : lowered(lower_method(program.archive.module, method, inputs, outputs)) {
  move_constants(*lowered.graph, program.device);
  for (const WeightSlot& slot : lowered.slots) {
    const auto known = program.weight_of_path.find(slot.path);
    Weight& own = lowered.weights[slot.weight];
    own.value = own.value.to(program.device);
    weights.push_back(known == program.weight_of_path.end() ? &own.value
                                                            : &program.lowered.weights[known->second].value);
  }
}

std::vector<c10::IValue> MethodGraph::stack(std::vector<c10::IValue> inputs) const {
  for (const at::Tensor* weight : weights) inputs.emplace_back(*weight);
  return inputs;
}

std::vector<std::size_t> same_sites(const std::vector<HookedSite>& hooks,
                                    const std::vector<LocatedSite>& located) {
  std::vector<std::size_t> order;
  for (const HookedSite& hooked : hooks) {
    const auto found = std::find_if(located.begin(), located.end(), [&](const LocatedSite& each) {
      return each.site.weight == hooked.site->weight && each.site.kind == hooked.site->kind;
    });
    if (found == located.end())
      throw Error(ExitCode::internal,
                  cat("a method does not use \"", hooked.site->path, "\" as forward does"));
    order.push_back(static_cast<std::size_t>(found - located.begin()));
  }
  return order;
}

}  // namespace lora
