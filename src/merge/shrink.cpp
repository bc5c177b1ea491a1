#include "merge/shrink.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "merge/module_update.h"

namespace lora {
namespace {

void append(ModuleUpdate& update, const std::vector<Intruder>& intruders, double factor) {
  const double scale = update.scale();
  std::vector<at::Tensor> rows{update.A.to(at::kFloat)}, columns{update.B.to(at::kFloat)};
  for (const Intruder& each : intruders) {
    rows.push_back(each.v.unsqueeze(0));
    columns.push_back((each.u * ((factor - 1) * each.singular_value / scale)).unsqueeze(1));
  }
  update.A = at::cat(rows, 0);
  update.B = at::cat(columns, 1);
  update.config.rank += static_cast<std::int64_t>(intruders.size());
  update.config.set_scale(scale);
}

void refuse_other_methods(const std::vector<ModuleUpdate>& updates) {
  std::vector<std::string> others;
  for (const ModuleUpdate& update : updates) {
    if (update.config.method != "lora")
      others.push_back(cat("  ", update.module, "  ", update.config.method));
  }
  if (others.empty()) return;
  throw Error(ExitCode::mismatch,
              cat("intruder dimensions can be shrunk in plain low-rank updates only\n", join(others, "\n")),
              "make a plain adapter of it first: lora-merge combine ADAPTER --model BASE --rank R --out DIR");
}

}  // namespace

AdapterFolder shrink_intruders(const AdapterFolder& folder, const ModuleIntruders& intruders, double factor) {
  const at::NoGradGuard no_grad;
  std::vector<ModuleUpdate> updates = module_updates(folder);
  refuse_other_methods(updates);
  AdapterFolder shrunk = folder;
  for (ModuleUpdate& update : updates) {
    const auto found = intruders.find(update.module);
    if (found == intruders.end() || found->second.empty()) continue;
    append(update, found->second, factor);
    const auto blocks = shrunk.blocks.find(update.module);
    if (blocks == shrunk.blocks.end()) continue;
    blocks->second.push_back({"", static_cast<std::int64_t>(found->second.size())});
  }
  return with_modules(std::move(shrunk), updates);
}

}  // namespace lora
