#include "lora/eval/generate.h"

#include <ATen/ATen.h>

#include <iostream>
#include <memory>

#include "base/json.h"
#include "eval/generation.h"
#include "eval/prompts.h"
#include "lora/adapter/adapter_set.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/config/check.h"

namespace lora {
namespace {

/// One prompt for one adapter.
struct Job {
  std::size_t prompt = 0;
  std::string adapter;  ///< empty: the base
  GeneratedRow row;
};

void add_adapters(const GenerateConfig& config, LoadedModel& model, AdapterSet& set) {
  for (const std::string& entry : config.adapters) {
    const auto equals = entry.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == entry.size()) {
      throw Error(ExitCode::usage, cat("--adapter \"", printable(entry), "\": expected NAME=DIR"),
                  "for example --adapter mine=runs/first/adapter");
    }
    const AdapterFolder folder = read_adapter_folder(entry.substr(equals + 1));
    const std::string& theirs = folder.provenance.tokenizer_hash;
    if (!theirs.empty() && theirs != model.tokenizer_hash) {
      throw Error(ExitCode::mismatch, cat("adapter ", printable(entry), " belongs to another tokenizer"),
                  "give the tokenizer it was trained with by --tokenizer");
    }
    set.add(entry.substr(0, equals), fit_adapter(folder, model.program));
  }
}

/// Every prompt for its adapter; those that name none for all of them.
std::vector<Job> make_jobs(const std::vector<Prompt>& prompts, const LoadedModel& model,
                           const AdapterSet& set) {
  std::vector<std::string> all = set.names();
  if (all.empty()) all = {""};
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const TokenIds ids = encode_prompt(prompts[i], model);
    if (ids.empty())
      throw Error(ExitCode::data, cat("prompt ", i + 1, " has no token"), "give at least one word");
    for (const std::string& adapter : prompts[i].adapter ? std::vector{*prompts[i].adapter} : all) {
      if (!adapter.empty()) set.adapter(adapter);  // known?
      jobs.push_back({i, adapter, {ids, ids.size(), i, false}});
    }
  }
  return jobs;
}

GenerationOptions options_of(const GenerateConfig& config, const LoadedModel& model) {
  GenerationOptions options;
  options.sampling = {config.temperature, config.top_k, config.top_p,
                      static_cast<std::uint64_t>(config.seed)};
  options.max_new_tokens = config.max_new_tokens;
  options.context_length = model.program.info().context_length;
  options.pad = model.pad_id();
  for (const auto& id : {model.program.info().eos, model.tokenizer->special_ids().eos}) {
    if (id) options.stop.insert(*id);
  }
  return options;
}

/// Rows of any adapters in one batch; adapters that hold whole weights one after the other.
class Runner {
 public:
  Runner(const GenerateConfig& config, LoadedModel& model, AdapterSet& set)
      : config_(config),
        model_(model),
        set_(set),
        options_(options_of(config, model)),
        executable_(model.program.executable(set.hooks())) {}

  void run(std::vector<Job>& jobs) {
    std::vector<std::string> names = set_.names();
    names.emplace_back();
    std::vector<Job*> mixed;
    for (const std::string& name : names) {
      const bool alone = !name.empty() && !set_.adapter(name).saved_weights.empty();
      std::vector<Job*> own;
      for (Job& job : jobs) {
        if (job.adapter == name) (alone ? own : mixed).push_back(&job);
      }
      run_batches(own);
    }
    run_batches(mixed);
  }

 private:
  void run_batches(const std::vector<Job*>& jobs) {
    const auto size = static_cast<std::size_t>(config_.batch_size);
    for (std::size_t begin = 0; begin < jobs.size(); begin += size) {
      const std::size_t end = std::min(jobs.size(), begin + size);
      std::vector<GeneratedRow> rows;
      std::vector<std::string> adapters;
      for (std::size_t i = begin; i < end; ++i) {
        rows.push_back(jobs[i]->row);
        adapters.push_back(jobs[i]->adapter);
      }
      const bool same = std::all_of(adapters.begin(), adapters.end(),
                                    [&](const auto& name) { return name == adapters[0]; });
      same ? set_.use(adapters[0]) : set_.use_rows(adapters);
      generate_rows(executable_, model_.program.device(), rows, options_);
      for (std::size_t i = begin; i < end; ++i) jobs[i]->row = rows[i - begin];
    }
  }

  const GenerateConfig& config_;
  LoadedModel& model_;
  AdapterSet& set_;
  GenerationOptions options_;
  Executable executable_;
};

std::string prompt_text(const Prompt& prompt) {
  return prompt.messages.empty() ? prompt.text : prompt.messages.back().content;
}

std::string answers_jsonl(const std::vector<Job>& jobs, const std::vector<Prompt>& prompts,
                          const Tokenizer& tokenizer) {
  std::string text;
  for (const Job& job : jobs) {
    const Json json = {{"prompt", prompt_text(prompts[job.prompt])},
                       {"adapter", job.adapter},
                       {"text", tokenizer.decode(job.row.answer())},
                       {"ids", job.row.answer()}};
    text += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return text;
}

std::string answers_text(const std::vector<Job>& jobs, const std::vector<Prompt>& prompts,
                         const Tokenizer& tokenizer) {
  std::string text;
  std::size_t last = prompts.size();
  for (const Job& job : jobs) {
    if (job.prompt != last)
      text +=
          cat(last == prompts.size() ? "" : "\n", "> ", printable(prompt_text(prompts[job.prompt])), "\n");
    last = job.prompt;
    std::string answer;
    for (const std::string& line : split(tokenizer.decode(job.row.answer()), '\n'))
      answer += printable(line) + "\n";
    text += cat(job.adapter.empty() ? "" : cat("[", printable(job.adapter), "]"), answer);
  }
  return text;
}

}  // namespace

int generate(const GenerateConfig& config) {
  check_config(config);
  use_threads(config.model.threads);
  const std::vector<Prompt> prompts = read_prompts(config);
  LoadedModel model = load_model(config.model, DataSet{{}, {}, {{0, PlainText{}}}});
  if (model.program.info().task != Task::language_model)
    throw Error(ExitCode::usage, cat(config.model.path, " is a classifier, which writes no text"),
                "lora-eval compare measures it");
  AdapterSet set(model.program);
  add_adapters(config, model, set);
  std::vector<Job> jobs = make_jobs(prompts, model, set);
  const double start = monotonic_seconds();
  Runner(config, model, set).run(jobs);
  std::int64_t tokens = 0;
  for (const Job& job : jobs) tokens += static_cast<std::int64_t>(job.row.answer().size());
  const double seconds = monotonic_seconds() - start;
  log_info("generate", tokens, " tokens in ", human_seconds(seconds), ", ",
           fixed(static_cast<double>(tokens) / seconds, 1), " tokens/s, ", jobs.size(), " answers, ",
           set.names().size(), " adapters on one base");
  const std::string lines = answers_jsonl(jobs, prompts, *model.tokenizer);
  if (!config.out.empty()) write_file_atomically(config.out, lines);
  std::cout << (config.json ? lines : answers_text(jobs, prompts, *model.tokenizer)) << std::flush;
  return 0;
}

}  // namespace lora
