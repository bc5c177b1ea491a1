#include "eval/loaded_model.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <variant>

#include "base/json.h"
#include "data/packed_rows.h"
#include "eval/ids_only_tokenizer.h"
#include "eval/precision.h"
#include "lora/base/error.h"
#include "lora/base/process.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"

namespace lora {
namespace {

bool is_tokenised(const Example& example) {
  return std::holds_alternative<TokenSequence>(example.content) ||
         std::holds_alternative<LabelledTokens>(example.content);
}

bool has_token_ids_only(const DataSet& data) {
  return std::all_of(data.examples.begin(), data.examples.end(), is_tokenised);
}

/// Everything that the tokens of a data file follow from.
std::string encoding_key(const LoadedModel& model, const DataSet& data, const DataConfig& config,
                         const EncodeOptions& options) {
  const Json origin = {{"program", program_identity()},
                       {"data", data.sha256},
                       {"fields", config.fields},
                       {"skip_bad", config.skip_bad},
                       {"limit", config.limit},
                       {"tokenizer", model.tokenizer_hash},
                       {"chat", options.chat ? model.program.info().chat_template : ""},
                       {"max_length", options.max_length},
                       {"loss_on", options.loss_on},
                       {"overlong", options.overlong},
                       {"task", options.task},
                       {"labels", options.labels},
                       {"append_eos", options.append_eos},
                       {"vocab_size", options.vocab_size}};
  return sha256(origin.dump());
}

LossOn loss_on(const std::string& word) { return word == "all" ? LossOn::all : LossOn::completion; }

Overlong overlong(const std::string& word) {
  if (word == "drop") return Overlong::drop;
  return word == "error" ? Overlong::error : Overlong::cut;
}

TokenizerFiles tokenizer_files(const ModelConfig& config, const Program& program) {
  return config.tokenizer.empty() ? program.info().tokenizer_files : read_tokenizer_files(config.tokenizer);
}

}  // namespace

Cache cache_of(const ModelConfig& config) {
  constexpr double kGib = 1 << 30;
  const std::string folder = config.cache.value_or(default_cache_folder().string());
  if (folder == "none") return {};
  return {folder, static_cast<std::uint64_t>(config.cache_gib * kGib)};
}

std::set<std::int32_t> LoadedModel::end_ids() const {
  std::set<std::int32_t> ids;
  for (const auto& id : {program.info().eos, tokenizer->special_ids().eos}) {
    if (id) ids.insert(*id);
  }
  return ids;
}

void LoadedModel::check_tokenizer(const std::string& what, const std::string& theirs) const {
  if (theirs.empty() || tokenizer_hash.empty() || theirs == tokenizer_hash) return;
  throw Error(ExitCode::mismatch,
              cat(what, " belongs to another tokenizer: sha256 ", theirs.substr(0, 12), ", this one is ",
                  tokenizer_hash.substr(0, 12)),
              "give the tokenizer it was trained with by --tokenizer");
}

EncodeOptions LoadedModel::encoding(const DataConfig& data) const {
  const ModelInfo& info = program.info();
  EncodeOptions options;
  options.max_length = data.max_length.value_or(info.context_length);
  options.loss_on = loss_on(data.loss_on);
  options.overlong = overlong(data.on_overlong);
  options.chat = chat.get();
  options.task = info.task;
  options.labels = info.labels;
  options.vocab_size = info.vocab_size;
  return options;
}

std::int32_t LoadedModel::pad_id() const {
  const SpecialIds special = tokenizer->special_ids();
  for (const auto& id : {program.info().pad, special.pad, program.info().eos, special.eos}) {
    if (id) return *id;
  }
  return 0;
}

EncodedSet LoadedModel::encoded(const DataSet& data, const DataConfig& config, const EncodeOptions& options,
                                int threads) const {
  constexpr const char* kKind = "tokens";
  if (!cache.is_on() || has_token_ids_only(data)) return encode(data, *tokenizer, options, threads);
  const std::string key = encoding_key(*this, data, config, options);
  if (const auto known = cache.read(kKind, key)) return unpack_rows(*known);
  EncodedSet set = encode(data, *tokenizer, options, threads);
  cache.write(kKind, key, pack_rows(set));
  return set;
}

LoadedModel load_model(const ModelConfig& config, const DataSet& data, bool decodes) {
  const at::Device device = parse_device(config.device);
  const Cache cache = cache_of(config);
  LoadedModel loaded{Program::load(config.path, cache, decodes), nullptr, {}, nullptr, cache};
  loaded.program.use_rewrites(config.rewrites);
  const TokenizerFiles files = tokenizer_files(config, loaded.program);
  if (!files.empty()) {
    loaded.tokenizer = make_tokenizer(files);
    loaded.tokenizer_hash = tokenizer_hash(files);
  } else if (has_token_ids_only(data)) {
    loaded.tokenizer = std::make_unique<IdsOnlyTokenizer>(loaded.program.info());
  } else {
    throw Error(
        ExitCode::file,
        cat(config.path, ": the model file holds no tokenizer, and ", data.path.string(), " holds text"),
        "give the tokenizer with --tokenizer FILE_OR_FOLDER, or data with input_ids");
  }
  if (!loaded.program.info().chat_template.empty()) {
    loaded.chat = std::make_unique<ChatTemplate>(ChatTemplate::parse(loaded.program.info().chat_template));
  }
  if (device != loaded.program.device()) loaded.program.to(device);
  choose_precision(loaded.program, config.precision);
  return loaded;
}

at::Device parse_device(const std::string& name) {
  const std::string hint = "use --device cpu, --device cuda or --device cuda:N";
  std::optional<at::Device> device;
  try {
    device.emplace(name);
  } catch (const c10::Error&) {
    throw Error(ExitCode::usage, cat("device \"", printable(name), "\" is unknown"), hint);
  }
  if (device->is_cpu()) return *device;
  if (!device->is_cuda()) throw Error(ExitCode::usage, cat("device \"", name, "\" is not supported"), hint);
  const std::int64_t count = at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  if (count == 0)
    throw Error(ExitCode::usage, cat("device \"", name, "\": LibTorch sees no CUDA device"), hint);
  if (device->index() >= count) {
    throw Error(ExitCode::usage, cat("device \"", name, "\": this machine has ", count, " CUDA devices"),
                hint);
  }
  return device->has_index() ? *device : at::Device(at::kCUDA, 0);
}

int use_threads(std::int64_t threads) {
  const int count = threads > 0 ? static_cast<int>(threads) : usable_cores();
  at::set_num_threads(count);
  return count;
}

ReadOptions read_options(const DataConfig& data) {
  ReadOptions options;
  options.skip_bad = data.skip_bad;
  options.limit = data.limit;
  for (const std::string& entry : data.fields) {
    const auto equals = entry.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == entry.size()) {
      throw Error(ExitCode::usage, cat("--fields \"", printable(entry), "\": expected STANDARD=YOURS"),
                  "for example --fields prompt=question completion=answer");
    }
    options.fields[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return options;
}

}  // namespace lora
