#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "adapter/saved_modules.h"
#include "lora/adapter/adapter.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

std::vector<const Weight*> biases_of(const Program& program, const std::string& mode,
                                     const std::set<std::string>& modules) {
  std::vector<const Weight*> biases;
  if (mode == "none") return biases;
  for (const Weight& weight : program.weights()) {
    const std::string path = plain_path(program, weight.path);
    if (!weight.is_parameter || !weight.value.is_floating_point() || !path.ends_with(".bias")) continue;
    const std::string module = path.substr(0, path.rfind('.'));
    if (mode == "all" || modules.count(module)) biases.push_back(&weight);
  }
  return biases;
}

void add_biases(const Program& program, Adapter& adapter, const std::string& mode,
                const std::string& option) {
  std::set<std::string> modules;
  for (const AdaptedTarget& adapted : adapter.targets) modules.insert(adapted.target.site->path);
  const auto biases = biases_of(program, mode, modules);
  if (mode != "none" && biases.empty()) {
    throw Error(ExitCode::usage,
                cat(option.empty() ? cat("--bias ", mode) : option, ": the model has no such biases"),
                option.empty() ? "leave out --bias" : "use --method layernorm or lora");
  }
  for (const Weight* bias : biases) {
    if (adapter.saved_weights.count(bias->path)) continue;
    refuse_tied(program, *bias);
    adapter.saved_weights[bias->path] = bias->value.detach().clone();
  }
  adapter.bias = mode;
}

}  // namespace lora
