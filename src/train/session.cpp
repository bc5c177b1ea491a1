#include "train/session.h"

#include <string_view>
#include <unordered_set>

#include "base/report_text.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/config/config_json.h"
#include "train/known_memory.h"
#include "train/rank_place.h"

namespace lora {
namespace {

/// Accuracy looks at so many validation rows at most: choices of several tokens need passes of their own.
constexpr std::size_t kMostAccuracyRows = 512;
/// Differences between ranks that a message names.
constexpr std::size_t kNamedDifferences = 8;

std::string_view bytes_of(const EncodedRow& row) {
  return {reinterpret_cast<const char*>(row.ids.data()), row.ids.size() * sizeof(row.ids[0])};
}

DataSet read_logged(const std::string& path, const DataConfig& config) {
  DataSet data = read_data(path, read_options(config));
  if (data.skipped_bad) log_warn("data", path, ": ", data.skipped_bad, " malformed rows skipped");
  return data;
}

at::ScalarType base_type(const std::string& name) {
  return name == "bf16" ? at::kBFloat16 : name == "fp16" ? at::kHalf : at::kFloat;
}

/// The options of the model with cores and device of this rank.
ModelConfig placed(ModelConfig config, Ranks& ranks) {
  if (ranks.count() == 1) return config;
  const RankPlace place = find_place(ranks);
  if (config.threads == 0) config.threads = std::max(1, usable_cores() / place.sharers);
  if (config.device == "cuda") config.device = cat("cuda:", place.number);
  return config;
}

void check_batch_size(const TrainConfig& config, const Ranks& ranks, std::size_t rows) {
  const auto count = static_cast<std::size_t>(ranks.count());
  if (static_cast<std::size_t>(config.batch_size) >= count && rows >= count) return;
  throw Error(ExitCode::usage,
              cat(count, " ranks share each update, and it has ",
                  std::min(static_cast<std::size_t>(config.batch_size), rows), " rows"),
              "start fewer processes, or give a larger --batch-size and more rows");
}

/// mismatch error if a rank has another model, other data or other options than the first.
void check_equality(const Session& session) {
  const auto& valid = session.valid_data;
  const Ranks::Numbers mine = {hash_number(session.model.program.fingerprint()),
                               hash_number(session.model.tokenizer_hash), hash_number(session.data.sha256),
                               hash_number(valid ? valid->sha256 : ""),
                               hash_number(config_json(session.config))};
  constexpr const char* kWhat[] = {"model", "tokenizer", "data", "validation data", "options"};
  int rank = 0;
  std::vector<std::string> differences;
  const auto all = session.ranks.gather(mine);
  for (const Ranks::Numbers& theirs : all) {
    for (std::size_t i = 0; i < std::size(kWhat); ++i) {
      if (theirs[i] != all.front()[i]) differences.push_back(cat("rank ", rank, ": ", kWhat[i]));
    }
    ++rank;
  }
  if (differences.empty()) return;
  throw Error(ExitCode::mismatch,
              cat("ranks differ from rank 0: ", join_first(differences, kNamedDifferences)),
              "start all with the same command, and with files of the same content on every machine");
}

}  // namespace

Session open_session(const TrainConfig& config) {
  static Ranks alone{std::unique_ptr<Transport>()};
  return open_session(config, alone);
}

Session open_session(const TrainConfig& config, Ranks& ranks) {
  const ModelConfig model = placed(config.model, ranks);
  const int threads = use_threads(model.threads);
  DataSet data = read_logged(config.data.path, config.data);
  std::optional<DataSet> valid_data;
  if (!config.valid.empty()) valid_data = read_logged(config.valid, config.data);
  std::jthread pages;
  if (parse_device(model.device).is_cpu())
    pages = make_pages_ahead(cache_of(model), memory_key(config, threads, ranks, data, valid_data), threads);
  Session session{config,  ranks,
                  threads, load_model(model, data, /*decodes=*/false),
                  {},      std::move(data),
                  {},      std::move(valid_data),
                  {},      {}};
  if (config.base_dtype != "file") session.model.program.use_base_type(base_type(config.base_dtype));
  session.model.program.checkpoint_activations(config.checkpoint_activations);
  session.model.program.split_at_boundary(config.cache_activations);
  if (session.task() == Task::regression && config.label_smoothing > 0)
    throw Error(ExitCode::usage, "--label-smoothing is for classes and tokens, and the model is a regressor");
  session.encoding = session.model.encoding(config.data);
  session.rows = session.model.encoded(session.data, config.data, session.encoding, threads);
  if (ranks.count() > 1) {
    check_equality(session);
    check_batch_size(config, ranks, session.rows.rows.size());
  }
  if (!session.valid_data) return session;
  const DataSet& valid = *session.valid_data;
  session.valid = session.model.encoded(valid, config.data, session.encoding, threads);
  session.validation.emplace(session.valid.rows, session.model.program.info().task, session.model.pad_id(),
                             config.batch_tokens);
  if (!has_text_head(session.task())) {
    const std::vector<std::string> words = find_label_words(session.data, {});
    session.validation->add_questions(questions_of(valid, words), *session.model.tokenizer, session.encoding,
                                      kMostAccuracyRows);
  }
  return session;
}

std::int64_t count_overlap(const std::vector<EncodedRow>& train, const std::vector<EncodedRow>& valid) {
  std::unordered_set<std::string_view> seen;
  for (const EncodedRow& row : train) seen.insert(bytes_of(row));
  std::int64_t count = 0;
  for (const EncodedRow& row : valid) count += seen.count(bytes_of(row)) ? 1 : 0;
  return count;
}

}  // namespace lora
