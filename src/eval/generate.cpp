#include "lora/eval/generate.h"

#include <iostream>

#include "base/json.h"
#include "eval/beam_search.h"
#include "eval/prompts.h"
#include "eval/text_stream.h"
#include "eval/writer.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/config/check.h"

namespace lora {
namespace {

/// One prompt for one adapter.
struct Job {
  std::size_t prompt = 0;
  std::string adapter;  ///< empty: the base
  GeneratedRow row;
};

/// Every prompt for its adapter; those that name none for all of them.
std::vector<Job> make_jobs(const std::vector<Prompt>& prompts, Writer& writer) {
  AdapterSet& set = writer.adapters();
  std::vector<std::string> all = set.names();
  if (all.empty()) all = {""};
  std::vector<Job> jobs;
  const std::vector<TokenIds> encoded =
      encode_prompts(prompts, writer.model(), writer.options().max_new_tokens);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const TokenIds& ids = encoded[i];
    for (const std::string& adapter : prompts[i].adapter ? std::vector{*prompts[i].adapter} : all) {
      if (!adapter.empty()) set.adapter(adapter);  // known?
      jobs.push_back({i, adapter, {ids, ids.size(), i}});
      jobs.back().row.writer = set.described(adapter);
    }
  }
  return jobs;
}

/// Rows of any adapters in one batch; adapters that hold whole weights one after the other.
class Runner {
 public:
  Runner(const GenerateConfig& config, Writer& writer) : config_(config), writer_(writer) {}

  void run(std::vector<Job>& jobs) {
    std::vector<std::string> names = writer_.adapters().names();
    names.emplace_back();
    std::vector<Job*> mixed;
    for (const std::string& name : names) {
      const bool alone = !name.empty() && !writer_.adapters().adapter(name).saved_weights.empty();
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
    std::vector<std::size_t> lengths;
    for (const Job* job : jobs) lengths.push_back(job->row.ids.size());
    for (const auto& numbers : batches_by_length(lengths, static_cast<std::size_t>(config_.batch_size))) {
      std::vector<Job*> batch;
      for (const std::size_t number : numbers) batch.push_back(jobs[number]);
      run_batch(batch);
    }
  }

  void run_batch(const std::vector<Job*>& jobs) {
    std::vector<GeneratedRow> rows;
    std::vector<std::string> adapters;
    for (const Job* job : jobs) {
      rows.push_back(job->row);
      adapters.insert(adapters.end(), static_cast<std::size_t>(config_.beams), job->adapter);
    }
    const auto feed = writer_.feed(adapters);
    if (config_.beams > 1)
      search_beams(*feed, rows, writer_.options(), {config_.beams, config_.length_penalty});
    else
      generate_rows(*feed, rows, writer_.options());
    for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i]->row = rows[i];
  }

  const GenerateConfig& config_;
  Writer& writer_;
};

std::string answers_jsonl(const std::vector<Job>& jobs, const std::vector<Prompt>& prompts,
                          const Writer& writer) {
  std::string text;
  for (const Job& job : jobs) {
    Json json = {{"prompt", prompt_text(prompts[job.prompt])},
                 {"adapter", job.adapter},
                 {"text", writer.text(job.row.answer())},
                 {"ids", job.row.answer()}};
    if (!prompts[job.prompt].references.empty()) json["references"] = prompts[job.prompt].references;
    text += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return text;
}

std::string heading(const std::vector<Job>& jobs, std::size_t number, const std::vector<Prompt>& prompts) {
  const Job& job = jobs[number];
  const bool is_new = number == 0 || jobs[number - 1].prompt != job.prompt;
  return cat(
      is_new ? cat(number > 0 ? "\n" : "", "> ", printable(prompt_text(prompts[job.prompt])), "\n") : "",
      job.adapter.empty() ? "" : cat("[", printable(job.adapter), "]"));
}

std::string answers_text(const std::vector<Job>& jobs, const std::vector<Prompt>& prompts,
                         const Writer& writer) {
  std::string text;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    text += heading(jobs, i, prompts);
    for (const std::string& line : split(writer.text(jobs[i].row.answer()), '\n'))
      text += printable(line) + "\n";
  }
  return text;
}

/// One after the other, printed as they are written.
void stream_answers(std::vector<Job>& jobs, const std::vector<Prompt>& prompts, Writer& writer) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    std::cout << heading(jobs, i, prompts);
    writer.adapters().use(jobs[i].adapter);
    TextStream stream(writer, std::cout);
    std::vector<GeneratedRow> rows{jobs[i].row};
    generate_rows(*writer.feed(), rows, writer.options(),
                  [&](const GeneratedRow& row) { stream.update(row.answer()); });
    stream.finish(rows[0].answer());
    jobs[i].row = rows[0];
  }
}

void check_options(const GenerateConfig& config) {
  check_config(config);
  if (config.stream && (config.json || config.beams > 1))
    throw Error(ExitCode::usage,
                "--stream prints text as it is drawn: it does not go with --json or --beams");
  if (config.beams == 1 && config.length_penalty != 1)
    throw Error(ExitCode::usage, "--length-penalty is of beams: give --beams above 1");
  if (config.beams > 1 && config.sampling.temperature > 0)
    throw Error(ExitCode::usage, "--beams looks for the likeliest text: it does not go with --temperature");
}

}  // namespace

int generate(const GenerateConfig& config) {
  check_options(config);
  if (!config.out.empty()) require_writable(config.out);
  use_threads(config.model.threads);
  const std::vector<Prompt> prompts = read_prompts(config);
  Writer writer(config.model, config.adapters, config.sampling, config.recompute);
  std::vector<Job> jobs = make_jobs(prompts, writer);
  const double start = monotonic_seconds();
  if (config.stream)
    stream_answers(jobs, prompts, writer);
  else
    Runner(config, writer).run(jobs);
  std::int64_t tokens = 0;
  for (const Job& job : jobs) tokens += static_cast<std::int64_t>(job.row.answer().size());
  const double seconds = monotonic_seconds() - start;
  log_info("generate", tokens, " tokens in ", human_seconds(seconds), ", ",
           fixed(static_cast<double>(tokens) / seconds, 1), " tokens/s, ", jobs.size(), " answers, ",
           writer.adapters().names().size(), " adapters on one base");
  const std::string lines = answers_jsonl(jobs, prompts, writer);
  if (!config.out.empty()) write_file_atomically(config.out, lines);
  if (!config.stream) std::cout << (config.json ? lines : answers_text(jobs, prompts, writer)) << std::flush;
  return 0;
}

}  // namespace lora
