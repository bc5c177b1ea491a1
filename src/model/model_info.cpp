#include "base/json.h"
#include "lora/base/text.h"
#include "model/archive.h"

namespace lora {
namespace {

constexpr const char* kMetaName = "lora_meta.json";

/// Reads the keys of one metadata object; absent and null ones leave the default.
class MetaReader {
 public:
  MetaReader(const Json& object, JsonOrigin origin) : object_(object), origin_(std::move(origin)) {}

  void text(const char* key, std::string& out) const {
    if (const Json* value = find(key)) out = json_string(*value, key, origin_);
  }
  void number(const char* key, std::int64_t& out) const {
    if (const Json* value = find(key)) out = json_int(*value, key, origin_);
  }
  void token(const char* key, std::optional<std::int32_t>& out) const {
    if (const Json* value = find(key)) out = static_cast<std::int32_t>(json_int(*value, key, origin_));
  }
  void texts(const char* key, std::vector<std::string>& out) const {
    const Json* value = find(key);
    if (!value) return;
    if (!value->is_array())
      throw Error(origin_.code, cat(origin_.place, ": \"", key, "\" must be an array of strings"));
    for (const Json& item : *value) out.push_back(json_string(item, key, origin_));
  }
  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

 private:
  const Json& object_;
  JsonOrigin origin_;
};

Task parse_task(const std::string& word, const JsonOrigin& origin) {
  if (word.empty() || word == "language_model") return Task::language_model;
  if (word == "classification") return Task::classification;
  if (word == "regression") return Task::regression;
  throw Error(origin.code, cat(origin.place, ": unknown task \"", printable(word), "\""),
              "known: language_model, classification, regression");
}

/// Nothing if there is no `decode`.
std::optional<PastShape> parse_past(const Json& methods, const JsonOrigin& origin) {
  const auto decode = methods.find("decode");
  if (decode == methods.end() || !decode->is_object() || !decode->contains("past")) return std::nullopt;
  const Json& json = (*decode)["past"];
  PastShape past;
  const std::pair<const char*, std::int64_t*> parts[] = {
      {"tensors", &past.tensors}, {"heads", &past.heads}, {"head_size", &past.head_size}};
  for (const auto& [key, number] : parts) {
    *number = json_int(json_at(json, key, origin), key, origin);
    if (*number < 1) throw Error(origin.code, cat(origin.place, ": \"", key, "\" must be at least 1"));
  }
  return past;
}

}  // namespace

std::vector<std::string> class_names(const ModelInfo& info) {
  for (std::size_t i = 0; i < info.labels.size(); ++i) {
    if (info.labels[i] != std::to_string(i)) return info.labels;
  }
  return {};
}

ModelInfo parse_model_info(const ExtraFiles& extra, const std::filesystem::path& path) {
  ModelInfo info;
  for (const auto& [name, content] : extra) {
    if (name.starts_with("tokenizer")) info.tokenizer_files[name] = content;
  }
  const auto found = extra.find(kMetaName);
  if (found == extra.end() || found->second.empty()) {
    info.name = path.stem().string();
    return info;
  }
  const JsonOrigin origin{cat(kMetaName, " in \"", path.string(), "\""), ExitCode::file};
  const Json meta = parse_json(found->second, origin);
  if (!meta.is_object() || meta.value("format", "") != "lora-model") {
    throw Error(ExitCode::file,
                cat(origin.place, ": no metadata of a model (\"format\" must be \"lora-model\")"));
  }
  const MetaReader reader(meta, origin);
  std::string task;
  std::int64_t version = 1;
  reader.number("version", version);
  if (version != 1) {
    throw Error(ExitCode::file, cat(origin.place, ": version ", version, " is not known, only 1"),
                "export the model again");
  }
  info.has_metadata = true;
  reader.text("task", task);
  info.task = parse_task(task, origin);
  reader.text("family", info.family);
  reader.text("name", info.name);
  reader.texts("inputs", info.inputs);
  reader.number("vocab_size", info.vocab_size);
  reader.number("hidden_size", info.hidden_size);
  reader.number("context_length", info.context_length);
  reader.token("bos", info.bos);
  reader.token("eos", info.eos);
  reader.token("pad", info.pad);
  reader.texts("labels", info.labels);
  reader.texts("head_modules", info.head_modules);
  reader.text("wrapper_prefix", info.key_prefix);
  if (const Json* methods = reader.find("methods"); methods && methods->is_object()) {
    for (const auto& item : methods->items()) info.methods.push_back(item.key());
    info.past = parse_past(*methods, origin);
  }
  if (const Json* chat = reader.find("chat")) info.chat_template = chat->dump();
  return info;
}

}  // namespace lora
