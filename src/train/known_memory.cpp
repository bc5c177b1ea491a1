#include "train/known_memory.h"

#include "base/arena.h"
#include "lora/base/process.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"
#include "train/resume.h"

namespace lora {
namespace {

constexpr const char* kMemory = "memory";  ///< kind of a cache's entries
/// Of what an update is estimated to take: estimates are up to so much too high.
constexpr double kSureShare = 0.85;

}  // namespace

std::string memory_key(const TrainConfig& config, int threads, const Ranks& ranks, const DataSet& data,
                       const std::optional<DataSet>& valid) {
  return sha256(cat(file_identity(config.model.path), "|", program_identity(), "|", cpu_name(), "|", threads,
                    "|", config.lanes, "|", ranks.rank(), "|", ranks.count(), "|", training_options(config),
                    "|", config.checkpoint_activations, "|", data.sha256, "|", valid ? valid->sha256 : ""));
}

std::optional<KnownMemory> recall_memory(const Cache& cache, const std::string& key) {
  const auto text = cache.read(kMemory, key);
  if (!text) return std::nullopt;
  const Json json = parse_json(*text, {"cache of memory", ExitCode::internal});
  KnownMemory known;
  json.at("rows").get_to(known.largest.rows);
  json.at("time").get_to(known.largest.time);
  json.at("seconds").get_to(known.largest.seconds);
  json.at("pass_bytes").get_to(known.largest.peak_bytes);
  known.memory = memory_of(json.at("memory"));
  return known;
}

void keep_memory(const KnownMemory& known, const Cache& cache, const std::string& key) {
  const Json json = {{"rows", known.largest.rows},
                     {"time", known.largest.time},
                     {"seconds", known.largest.seconds},
                     {"pass_bytes", known.largest.peak_bytes},
                     {"memory", memory_json(known.memory)}};
  cache.write(kMemory, key, json.dump());
}

std::jthread make_pages_ahead(const Cache& cache, const std::string& key, int threads) {
  const auto known = threads > 1 ? recall_memory(cache, key) : std::nullopt;
  if (!known || known->memory.update > available_bytes() / 2) return {};
  const auto bytes = static_cast<std::size_t>(kSureShare * static_cast<double>(known->memory.update));
  return std::jthread([bytes](const std::stop_token& stop) {
    process_arena().make_resident(bytes, [&] { return !stop.stop_requested(); });
  });
}

}  // namespace lora
