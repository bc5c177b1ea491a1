#include "train/run_record.h"

#include <torch/headeronly/version.h>

#include "base/json.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/base/version.h"
#include "lora/config/config_json.h"
#include "train/resume.h"

namespace lora {
namespace {

std::string quality_text(const Validation& validation) {
  return cat("- Validation at that step: loss ", fixed(validation.loss, 4),
             validation.accuracy ? cat(", accuracy ", fixed(*validation.accuracy, 4)) : "", "\n");
}

std::string targets_text(const Plan& plan) {
  std::vector<std::string> names;
  for (const TargetGroup& group : plan.targets)
    names.push_back(cat("`", group.name, "` (", group.count, ")"));
  return join(names, ", ");
}

}  // namespace

std::string run_config_json(const Session& session, const Plan& plan) {
  Json record = {{"options", Json::parse(config_json(with_absolute_paths(session.config)))},
                 {"lora", version()},
                 {"libtorch", TORCH_VERSION},
                 {"cpu", cpu_name()},
                 {"threads", session.threads},
                 {"started", utc_timestamp()},
                 {"plan", plan_json(plan)}};
  record.update(compared_contents(session));
  return record.dump(2) + "\n";
}

AdapterProvenance provenance(const Session& session, std::int64_t step) {
  const LoadedModel& model = session.model;
  return {model.program.info().name,
          model.program.fingerprint(),
          model.tokenizer_hash,
          {{"data_sha256", session.data.sha256},
           {"step", std::to_string(step)},
           {"version", version()},
           {"written", utc_timestamp()}},
          class_names(model.program.info())};
}

std::string model_card(const Session& session, const Plan& plan, std::int64_t step, double train_loss,
                       const std::optional<Validation>& validation) {
  const TrainConfig& config = session.config;
  std::string card = cat(
      "# ", session.model.program.info().name, ", adapted with ", plan.method, "\n\n",
      "Written by `lora-train` ", version(), ". Load it with PEFT, or bake it with `lora-merge bake`.\n\n",
      "- Trained: ", plan.trainable_parameters, " of ", plan.total_parameters, " parameters\n");
  if (!plan.targets.empty()) card += cat("- Targets: ", targets_text(plan), "\n");
  if (!plan.saved_modules.empty()) card += cat("- Trained whole: ", join(plan.saved_modules, ", "), "\n");
  card += cat("- Data: ", plan.rows, " rows, sha256 `", session.data.sha256, "`\n", "- Step ", step, " of ",
              plan.total_updates, ", ", plan.batch_size, " rows each; ", plan.schedule.kind,
              " schedule, peak rate ", plan.schedule.peak, ", weight decay ", config.weight_decay, ", seed ",
              config.seed, "\n", "- Training loss at that step: ", fixed(train_loss, 4), "\n");
  if (validation) card += quality_text(*validation);
  return card + cat("- Base fingerprint: `", session.model.program.fingerprint(), "`\n");
}

}  // namespace lora
