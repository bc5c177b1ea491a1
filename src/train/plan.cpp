#include "train/plan.h"

#include <algorithm>
#include <set>

#include "base/report_text.h"
#include "eval/variant.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "train/known_memory.h"
#include "train/target_configs.h"

namespace lora {
namespace {

std::string percent(double share, int digits) { return fixed(share * 100, digits) + " %"; }

/// Every weight of the model or of chosen layers.
bool trains_whole_layers(const TrainConfig& config) {
  return config.method == "full" || (config.method == "head" && !config.layers.empty());
}

Schedule make_schedule(const TrainConfig& config, std::int64_t hidden_size, std::int64_t total_updates) {
  const double peak =
      config.learning_rate.value_or(default_learning_rate(hidden_size, trains_whole_layers(config)));
  return {config.schedule, peak, warmup_updates(config.warmup, total_updates), total_updates};
}

/// What the adapter holds beside low-rank updates; biases as one number, since a model has one in every
/// layer.
std::vector<std::string> whole_tensors(const Adapter& adapter) {
  std::vector<std::string> names;
  int biases = 0;
  for (const auto& [path, value] : adapter.saved_weights) {
    const bool bias = adapter.bias != "none" && path.ends_with(".bias");
    bias ? void(++biases) : names.push_back(path);
  }
  if (biases > 0) names.push_back(cat(biases, " biases"));
  for (const TokenRows& rows : adapter.token_rows)
    names.push_back(cat(rows.ids.size(), " rows of ", rows.module));
  return names;
}

void describe_method(Plan& plan, const Session& session, const Trainee& trainee) {
  const TrainConfig& config = session.config;
  plan.method = variant_name(config);
  if (!trainee.adapter().targets.empty()) {
    const MethodConfig& method = trainee.adapter().targets.front().config;
    plan.method += cat(", rank ", method.rank);
    if (config.method != "bottleneck") plan.method += cat(", alpha ", method.alpha);
    if (method.dropout > 0) plan.method += cat(", dropout ", method.dropout);
  }
  std::vector<Target> targets;
  for (const AdaptedTarget& adapted : trainee.adapter().targets) targets.push_back(adapted.target);
  plan.targets = group_targets(targets);
  plan.saved_modules = whole_tensors(trainee.adapter());
  plan.total_parameters = parameter_count(session.model.program);
  plan.trainable_parameters = trainee.parameter_count();
}

void describe_data(Plan& plan, const Session& session, const Sampler& sampler) {
  plan.data_summary = cat(session.config.data.path, ": ", session.rows.report.summary());
  if (session.valid_data)
    plan.valid_summary = cat(session.config.valid, ": ", session.valid.report.summary());
  plan.rows = session.rows.report.rows;
  plan.tokens = session.rows.report.tokens;
  plan.labelled = session.rows.report.labelled;
  plan.valid_rows = static_cast<std::int64_t>(session.valid.rows.size());
  plan.overlap = count_overlap(session.rows.rows, session.valid.rows);
  plan.packed = sampler.layout() == Layout::packed;
  plan.padding_share = padding_share(session.rows.rows, sampler);
}

/// Whether an undisturbed run writes checkpoints: with each validation but the last, or as it was asked to.
bool saves_checkpoints(const TrainConfig& config, const Plan& plan) {
  const std::int64_t period = config.save_every.value_or(config.eval_every.value_or(plan.updates_per_epoch));
  return period > 0 && period < plan.total_updates;
}

/// Seconds of all updates: padded positions at the speed of the measured pass.
double estimate_seconds(const Plan& plan) {
  const double positions = static_cast<double>(plan.tokens) / std::max(1e-9, 1 - plan.padding_share);
  const double epochs = static_cast<double>(plan.total_updates) / static_cast<double>(plan.updates_per_epoch);
  return plan.largest.seconds / static_cast<double>(plan.largest.rows * plan.largest.time) * positions *
         epochs;
}

/// Tokens of an update for which a lane is worth while: with fewer its products wait for weights.
constexpr std::int64_t kTokensOfLane = 96;
/// Gradients of further lanes may take this share of what the model's weights take.
constexpr std::int64_t kGradientShare = 8;

int count_lanes(const Session& session, const Plan& plan) {
  const TrainConfig& config = session.config;
  const bool together = !session.model.program.device().is_cpu() || config.checkpoint_activations;
  if (together && config.lanes > 1)
    throw Error(ExitCode::usage, "--lanes are for CPUs, and not for --checkpoint-activations",
                "leave it out");
  if (together || config.lanes > 0) return together ? 1 : static_cast<int>(config.lanes);
  const std::int64_t rows = std::min(config.batch_size, plan.rows) / plan.ranks;
  const std::int64_t tokens = plan.tokens / std::max<std::int64_t>(1, plan.rows) * rows;
  const std::int64_t affordable = 1 + plan.total_parameters / kGradientShare / plan.trainable_parameters;
  return static_cast<int>(std::max<std::int64_t>(
      1, std::min({std::int64_t{session.threads}, rows, tokens / kTokensOfLane, affordable})));
}

void measure_memory(Plan& plan, const Session& session, Trainee& trainee, const Sampler& sampler,
                    bool exact) {
  const auto rows = largest_micro_batch(session, sampler, plan.lanes);
  plan.largest = exact ? measure_pass(session, trainee, rows, sampler.layout())
                       : estimate_pass(session, trainee, rows, sampler.layout());
  plan.memory = estimate_memory(session, trainee, plan.largest, plan.lanes);
}

std::string rewrites_text(const Plan& plan) {
  std::vector<std::string> each;
  for (const RewriteCount& rewrite : plan.rewrites) {
    each.push_back(cat(rewrite.name, " ", rewrite.places));
    if (rewrite.plain > 0) each.back() += cat(" (", rewrite.plain, " plain)");
  }
  return each.empty() ? "" : cat("rewrites  ", join(each, ", "), "\n");
}

std::string targets_text(const Plan& plan) {
  std::string text;
  for (const TargetGroup& group : plan.targets) {
    text += cat("targets   ", group.name, ": ", group.count);
    if (!group.layers.empty()) text += cat(" (layers ", group.layers, ")");
    text += "\n";
  }
  if (!plan.saved_modules.empty()) text += cat("whole     ", join(plan.saved_modules, ", "), "\n");
  return text;
}

}  // namespace

std::string number_ranges(const std::vector<int>& sorted) {
  std::string text;
  for (std::size_t begin = 0, end = 0; begin < sorted.size(); begin = end) {
    end = begin + 1;
    while (end < sorted.size() && sorted[end] == sorted[end - 1] + 1) ++end;
    text += cat(text.empty() ? "" : ",", sorted[begin]);
    if (end - begin > 1) text += cat("-", sorted[end - 1]);
  }
  return text;
}

std::vector<TargetGroup> group_targets(const std::vector<Target>& targets) {
  std::vector<TargetGroup> groups;
  std::vector<std::set<int>> layers;
  for (const Target& target : targets) {
    const std::string name = module_pattern(target.name());
    const auto found =
        std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.name == name; });
    const auto index = static_cast<std::size_t>(found - groups.begin());
    if (found == groups.end()) {
      groups.push_back({name, 0, {}});
      layers.emplace_back();
    }
    ++groups[index].count;
    if (target.site->layer >= 0) layers[index].insert(target.site->layer);
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].layers = number_ranges({layers[i].begin(), layers[i].end()});
  }
  return groups;
}

Plan make_plan(const Session& session, Trainee& trainee, const Sampler& sampler, bool exact) {
  const TrainConfig& config = session.config;
  Plan plan;
  plan.ranks = session.ranks.count();
  plan.threads = session.threads;
  plan.model = config.model.path;
  plan.rewrites = session.model.program.rewrites();
  describe_method(plan, session, trainee);
  describe_data(plan, session, sampler);
  plan.batch_size = config.batch_size;
  plan.updates_per_epoch = sampler.updates_per_epoch();
  plan.total_updates = config.steps.value_or(config.epochs * plan.updates_per_epoch);
  plan.schedule = make_schedule(config, session.model.program.info().hidden_size, plan.total_updates);
  plan.lanes = count_lanes(session, plan);
  const std::string key =
      memory_key(config, session.threads, session.ranks, session.data, session.valid_data);
  const auto known = exact ? std::nullopt : recall_memory(session.model.cache, key);
  if (known) {
    plan.largest = known->largest;
    plan.memory = known->memory;
  } else {
    measure_memory(plan, session, trainee, sampler, exact);
    if (!exact) keep_memory({plan.largest, plan.memory}, session.model.cache, key);
  }
  add_circumstances(plan.memory, trainee, saves_checkpoints(config, plan));
  if (exact) plan.seconds = estimate_seconds(plan);
  return plan;
}

std::string plan_text(const Plan& plan) {
  const double share =
      static_cast<double>(plan.trainable_parameters) / static_cast<double>(plan.total_parameters);
  std::string text = cat(
      "model     ", plan.model, "  ", human_count(static_cast<std::uint64_t>(plan.total_parameters)),
      " parameters\n", "method    ", plan.method, ": ",
      human_count(static_cast<std::uint64_t>(plan.trainable_parameters)), " trainable (",
      percent(share, share < 0.01 ? 3 : 1), ")\n", targets_text(plan), "data      ", plan.data_summary, "\n");
  if (!plan.valid_summary.empty()) text += cat("valid     ", plan.valid_summary, "\n");
  if (plan.overlap > 0) text += cat("overlap   ", plan.overlap, " validation rows also occur in training\n");
  if (plan.ranks > 1)
    text += cat("ranks     ", plan.ranks, " processes share each update, ", plan.threads,
                plan.threads == 1 ? " thread each\n" : " threads each\n");
  text +=
      cat("updates   ", plan.total_updates, " of ", plan.batch_size, " rows, ", plan.updates_per_epoch,
          " per epoch, ", plan.packed ? "packed" : cat("padding ", percent(plan.padding_share, 1)),
          plan.lanes > 1 ? cat(", in ", plan.lanes, " lanes\n") : "\n", rewrites_text(plan), "rate      ",
          plan.schedule.peak, " ", plan.schedule.kind, ", warm-up ", plan.schedule.warmup_steps, " updates\n",
          plan.ranks > 1 ? "memory    of each process: " : "memory    ", memory_text(plan.memory),
          "; largest micro-batch ", plan.largest.rows, " x ", plan.largest.time, " tokens\n");
  if (plan.seconds > 0) {
    text += cat("time      about ", human_seconds(plan.seconds), "; ", fixed(plan.largest.seconds, 2),
                " s for the largest micro-batch\n");
  }
  return text;
}

Json plan_json(const Plan& plan) {
  Json targets = Json::array(), rewrites = Json::object(), plain = Json::object();
  for (const RewriteCount& rewrite : plan.rewrites) {
    if (rewrite.places > 0) rewrites[rewrite.name] = rewrite.places;
    if (rewrite.plain > 0) plain[rewrite.name] = rewrite.plain;
  }
  for (const TargetGroup& group : plan.targets) {
    targets.push_back({{"name", group.name}, {"count", group.count}, {"layers", group.layers}});
  }
  return {{"model", plan.model},
          {"method", plan.method},
          {"targets", targets},
          {"saved_modules", plan.saved_modules},
          {"total_parameters", plan.total_parameters},
          {"trainable_parameters", plan.trainable_parameters},
          {"rows", plan.rows},
          {"tokens", plan.tokens},
          {"labelled", plan.labelled},
          {"valid_rows", plan.valid_rows},
          {"overlap", plan.overlap},
          {"rewrites", rewrites},
          {"rewrites_left_plain", plain},
          {"packed", plan.packed},
          {"padding_share", plan.padding_share},
          {"batch_size", plan.batch_size},
          {"lanes", plan.lanes},
          {"updates_per_epoch", plan.updates_per_epoch},
          {"total_updates", plan.total_updates},
          {"schedule", plan.schedule.kind},
          {"learning_rate", plan.schedule.peak},
          {"warmup_updates", plan.schedule.warmup_steps},
          {"largest_micro_batch",
           {{"rows", plan.largest.rows},
            {"tokens", plan.largest.time},
            {"seconds", plan.largest.seconds},
            {"peak_tensor_bytes", plan.largest.peak_bytes}}},
          {"memory", memory_json(plan.memory)},
          {"seconds", plan.seconds > 0 ? Json(plan.seconds) : Json()}};
}

}  // namespace lora
