#include "lora/train/train.h"

#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/stop.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/config/check.h"
#include "train/boundary_store.h"
#include "train/eva.h"
#include "train/list_targets.h"
#include "train/loop.h"
#include "train/loop_state.h"
#include "train/plan.h"
#include "train/profile.h"
#include "train/ranks.h"
#include "train/resume.h"
#include "train/run_record.h"
#include "train/session.h"
#include "train/target_configs.h"
#include "train/trainee.h"

namespace lora {
namespace {

void check_options(const TrainConfig& config) {
  check_config(config);
  check_allowed_changes(config);
  if (config.patience > 0 && config.valid.empty()) {
    throw Error(ExitCode::usage, "--patience needs validation rows", "give them with --valid FILE");
  }
  const bool narrow = config.base_dtype == "bf16" || config.base_dtype == "fp16";
  if (narrow && config.method == "full")
    throw Error(ExitCode::usage, "--base-dtype is the type of frozen weights; --method full has none",
                "leave it out");
  if (narrow && config.model.precision != "fp32")
    throw Error(ExitCode::usage,
                "--base-dtype says in which type weights are multiplied, as --precision does",
                "give one of them");
  if (config.out.empty()) return;
  std::error_code ignored;
  for (const char* written : {"model.pt", "adapter"}) {
    for (const std::string& read : {config.model.path, config.init_adapter}) {
      if (!std::filesystem::equivalent(std::filesystem::path(config.out) / written, read, ignored)) continue;
      throw Error(ExitCode::usage,
                  cat("--out ", config.out, " would write over \"", read, "\", which this run reads"),
                  "give another --out");
    }
  }
}

SamplerOptions sampler_options(const TrainConfig& config, const Program& program) {
  const bool packed = config.pack && program.packs();
  SamplerOptions options;
  options.batch_size = config.batch_size;
  options.max_tokens = config.batch_tokens;
  options.shuffle = config.shuffle;
  options.bucket_by_length = config.shuffle && config.bucket && !packed;
  options.seed = static_cast<std::uint64_t>(config.seed);
  options.layout = packed ? Layout::packed : Layout::padded;
  return options;
}

void log_lines(const char* part, const std::string& text) {
  for (const std::string& line : split(trim(text), '\n')) log_info(part, line);
}

void show_plan(const Plan& plan) {
  log_lines("plan", plan_text(plan));
  const std::uint64_t needed = plan.memory.peak(), available = plan.memory.available;
  if (available && needed > available) {
    log_warn("plan", "about ", human_bytes(needed), " are needed and ", human_bytes(available),
             " are there; lower --batch-tokens or --max-length");
  }
}

double mean_value(const std::vector<EncodedRow>& rows) {
  double sum = 0;
  for (const EncodedRow& row : rows) sum += row.value;
  return sum / static_cast<double>(rows.size());
}

RunReport make_report(const Session& session, const Plan& plan, Trainee& trainee, const Outcome& outcome) {
  const AdamW& optimizer = trainee.optimizer();
  RunReport report;
  report.estimated_peak_bytes = plan.memory.peak();
  report.base_bytes = plan.memory.base;
  report.trained_bytes = optimizer.flat_values().nbytes() + optimizer.flat_gradients().nbytes();
  report.optimizer_bytes = optimizer.moment_bytes();
  report.activation_bytes = outcome.activation_bytes;
  report.median_step_seconds = outcome.median_step_seconds;
  report.method = session.config.method;
  report.variant = variant_name(session.config);
  report.model_path = session.config.model.path;
  report.base_fingerprint = session.model.program.fingerprint();
  report.trainable_parameters = plan.trainable_parameters;
  report.total_parameters = plan.total_parameters;
  report.updates = outcome.updates;
  report.tokens = outcome.tokens;
  report.train_seconds = outcome.seconds;
  report.tokens_per_second = static_cast<double>(outcome.tokens) / outcome.seconds;
  report.peak_bytes = peak_resident_bytes();
  if (outcome.best) report.best_valid_loss = outcome.best->loss;
  report.best_step = outcome.saved_step;
  report.final_train_loss = outcome.final_train_loss;
  report.checkpoint_bytes = outcome.checkpoint_bytes;
  report.cpu = cpu_name();
  return report;
}

void print_outcome(const Outcome& outcome, const RunReport& report, const std::filesystem::path& written,
                   bool json) {
  if (json) {
    std::cout << Json({{"saved", written.string()},
                       {"step", outcome.saved_step},
                       {"updates", outcome.updates},
                       {"stopped_early", outcome.stopped_early},
                       {"train_loss", report.final_train_loss},
                       {"valid_loss", report.best_valid_loss ? Json(*report.best_valid_loss) : Json()},
                       {"trainable_parameters", report.trainable_parameters},
                       {"bytes", report.checkpoint_bytes},
                       {"seconds", report.train_seconds},
                       {"tokens_per_second", report.tokens_per_second},
                       {"peak_bytes", report.peak_bytes}})
                     .dump(2)
              << "\n";
    return;
  }
  std::cout << written.string() << "  (step " << outcome.saved_step << " of " << outcome.updates << ", "
            << human_bytes(report.checkpoint_bytes);
  if (outcome.best) std::cout << ", valid loss " << fixed(outcome.best->loss, 4);
  std::cout << ")\n";
}

/// Of layers below all that is trained, if there are any. One process writes the file; of several it would be
/// chance which of them has what in the bits of another batch.
void keep_activations(const Session& session, Trainee& trainee, Layout layout) {
  if (session.ranks.count() > 1) return;
  auto store = BoundaryStore::open(session, trainee, layout);
  if (!store) return;
  log_info("train", "what enters the first trained layer is kept: ", human_bytes(store->bytes()), " in ",
           store->path().string());
  trainee.use_boundary_store(std::move(store));
}

int run_training(const TrainConfig& config, const Session& session, const Plan& plan, const Sampler& sampler,
                 Trainee& trainee, RunFolder* run, const std::optional<TrainingState>& state) {
  std::optional<Profile> profile;
  if (config.profile) profile.emplace(session.model.program);
  if (plan.total_updates > plan.updates_per_epoch) keep_activations(session, trainee, sampler.layout());
  Loop loop(session, plan, sampler, trainee, run, profile ? &*profile : nullptr);
  if (state) {
    loop.restore(*state);
    log_info("train", "goes on after update ", state->step, " of ", plan.total_updates);
  } else if (run) {
    run->write_config(run_config_json(session, plan));
  }
  const Outcome outcome = loop.run();
  if (!run) return 0;
  RunReport report = make_report(session, plan, trainee, outcome);
  if (profile) report.profile = profile->json().dump();
  run->write_report(report);
  CheckpointStore(run->path(), config.keep_checkpoints).clear();
  log_info("train", outcome.updates, " updates in ", human_seconds(outcome.seconds), ", one in ",
           human_seconds(outcome.median_step_seconds), ", ", fixed(report.tokens_per_second, 0),
           " tokens/s, peak ", human_bytes(report.peak_bytes), outcome.stopped_early ? ", stopped early" : "",
           outcome.skipped ? cat(", ", outcome.skipped, " updates skipped") : "");
  if (profile) log_lines("profile", profile->text());
  print_outcome(outcome, report, trainee.is_full() ? run->model() : run->adapter(), config.json);
  return 0;
}

/// Whether there is a run to go on with. usage error if there must be one.
bool has_unfinished_run(const TrainConfig& config) {
  if (config.resume.empty()) return false;
  const bool found = !CheckpointStore(config.out, config.keep_checkpoints).empty();
  if (!found && config.resume != "auto")
    throw Error(ExitCode::usage, cat("\"", config.out, "\" holds no checkpoint to go on from"),
                "a finished run has none; --resume auto starts where there is nothing to resume");
  return found;
}

bool is_finished_run(const TrainConfig& config) {
  return config.resume == "auto" &&
         std::filesystem::exists(std::filesystem::path(config.out) / "report.json");
}

void check_tokenizer_of(const std::string& adapter, const LoadedModel& model) {
  model.check_tokenizer(cat("adapter ", adapter), read_adapter_folder(adapter).provenance.tokenizer_hash);
}

constexpr const char* kOneFolder = "the run folder must be one that all machines see";

std::optional<TrainingState> read_state(const Session& session) {
  const std::string& run = session.config.out;
  check_resumable(session, read_run_config(run));
  auto state = CheckpointStore(run, session.config.keep_checkpoints).read_newest(check_progress);
  if (!state)
    throw Error(ExitCode::file, cat("\"", run, "\": no checkpoint is whole"), "train again with --overwrite");
  if (!session.ranks.agree(static_cast<double>(state->step)))
    throw Error(ExitCode::file, cat("\"", run, "\": ranks read different checkpoints"), kOneFolder);
  return state;
}

/// The run folder, locked and proved writable; null where nothing is written.
std::unique_ptr<RunFolder> open_run(const TrainConfig& config, const Ranks& ranks, bool resumes) {
  if (config.dry_run || !ranks.is_first()) return nullptr;
  const auto open = resumes            ? RunFolder::Open::resume
                    : config.overwrite ? RunFolder::Open::overwrite
                                       : RunFolder::Open::fresh;
  return std::make_unique<RunFolder>(config.out, open);
}

int train_together(const TrainConfig& config, Ranks& ranks) {
  check_options(config);
  if (config.list_targets) return ranks.is_first() ? list_targets(config) : 0;
  const bool is_finished = is_finished_run(config), resumes = !is_finished && has_unfinished_run(config);
  if (!ranks.agree(2 * is_finished + resumes))
    throw Error(ExitCode::file, cat("\"", config.out, "\": not all ranks see what is in it"), kOneFolder);
  if (is_finished) {
    log_info("train", config.out, " holds a finished run: nothing to do");
    return 0;
  }
  const std::unique_ptr<RunFolder> run = open_run(config, ranks, resumes);  // before anything slow
  Session session = open_session(config, ranks);
  std::optional<TrainingState> state;
  if (resumes && !config.dry_run) state = read_state(session);
  const Sampler sampler(session.rows.rows, sampler_options(config, session.model.program));
  const bool eva = config.init == "eva" && config.init_adapter.empty();
  Trainee trainee(config, session.model.program, [&](Adapter& adapter) {
    if (eva) initialise_eva(session, sampler, adapter);
    if (!config.init_adapter.empty()) check_tokenizer_of(config.init_adapter, session.model);
  });
  if (session.task() == Task::regression && config.init_adapter.empty())
    trainee.start_outputs_at(mean_value(session.rows.rows));
  const Plan plan = make_plan(session, trainee, sampler, config.dry_run);
  if (config.dry_run) {
    if (!ranks.is_first()) return 0;
    std::cout << (config.json ? plan_json(plan).dump(2) + "\n" : plan_text(plan));
    return 0;
  }
  show_plan(plan);
  watch_signals();  // until here there is nothing to save
  return run_training(config, session, plan, sampler, trainee, run.get(), state);
}

/// How long the other ranks stay when all have failed: a launcher ends the first when it sees one of them
/// fail, and it has to say why.
constexpr auto kTimeToSpeak = std::chrono::milliseconds(500);

ExitCode code_of(const std::exception& error) {
  if (const auto* own = dynamic_cast<const Error*>(&error)) return own->code();
  return is_out_of_memory(error) ? ExitCode::memory : ExitCode::internal;
}

}  // namespace

int train(const TrainConfig& given) {
  const TrainConfig config = with_resumed_folder(given);
  std::optional<Ranks> ranks(std::in_place, config.rank_timeout);
  const bool is_first = ranks->is_first();
  if (!is_first) set_log_level(LogLevel::error);  // what all would say the first says
  try {
    return train_together(config, *ranks);
  } catch (const std::exception& error) {
    const bool is_own = ranks->farewell(code_of(error));
    if (is_first) throw;
    if (is_own) log(LogLevel::error, cat("rank ", ranks->rank()), error.what());
    ranks.reset();
    std::this_thread::sleep_for(kTimeToSpeak);
    return static_cast<int>(code_of(error));
  }
}

}  // namespace lora
