#include "train/session.h"

#include <string_view>
#include <unordered_set>

#include "lora/base/error.h"
#include "lora/base/log.h"

namespace lora {
namespace {

/// Accuracy looks at so many validation rows at most: choices of several tokens need passes of their own.
constexpr std::size_t kMostAccuracyRows = 512;

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

}  // namespace

Session open_session(const TrainConfig& config) {
  const int threads = use_threads(config.model.threads);
  DataSet data = read_logged(config.data.path, config.data);
  std::optional<DataSet> valid_data;
  if (!config.valid.empty()) valid_data = read_logged(config.valid, config.data);
  Session session{
      config, threads, load_model(config.model, data), {}, std::move(data), {}, std::move(valid_data),
      {},     {}};
  if (config.base_dtype != "file") session.model.program.use_base_type(base_type(config.base_dtype));
  session.model.program.checkpoint_activations(config.checkpoint_activations);
  session.model.program.split_at_boundary(config.cache_activations);
  if (session.task() == Task::regression && config.label_smoothing > 0)
    throw Error(ExitCode::usage, "--label-smoothing is for classes and tokens, and the model is a regressor");
  session.encoding = session.model.encoding(config.data);
  session.rows = session.model.encoded(session.data, config.data, session.encoding, threads);
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
