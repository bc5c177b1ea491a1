#include "tokenizer/tokenizer_config.h"

#include <algorithm>
#include <charconv>

#include "tokenizer/component.h"

namespace lora {
namespace {

constexpr const char* kFile = "tokenizer_config.json";

/// A token is given as its text or as an object with its "content".
std::optional<std::string> read_token(const Component& config, std::string_view key) {
  if (!config.has(key)) return std::nullopt;
  return config.at(key).is_object() ? config.child(key).text("content") : config.text(key);
}

std::optional<bool> read_flag(const Component& config, std::string_view key) {
  return config.has(key) ? std::optional(config.flag_or(key, false)) : std::nullopt;
}

/// Tokens in an array, or in an object that names what each is for.
void append_tokens(const Component& config, std::string_view key, std::vector<std::string>& tokens) {
  if (!config.has(key)) return;
  if (!config.at(key).is_structured()) config.refuse(cat("\"", key, "\" must hold tokens"));
  for (const auto& [name, item] : config.at(key).items()) {
    tokens.push_back(item.is_object() ? Component(item, cat(kFile, ": ", key)).text("content")
                                      : json_string(item, key, config.origin()));
  }
}

std::vector<AddedToken> read_added(const Component& config) {
  std::vector<AddedToken> tokens;
  if (!config.has("added_tokens_decoder")) return tokens;
  const Component listed = config.child("added_tokens_decoder");
  for (const auto& [key, value] : listed.json().items()) {
    AddedToken token = AddedToken::parse(Component(value, cat(listed.place(), ".", printable(key))));
    const char* end = key.data() + key.size();
    const auto parsed = std::from_chars(key.data(), end, token.id);
    if (parsed.ec != std::errc() || parsed.ptr != end || token.id < 0)
      listed.refuse(cat("\"", printable(key), "\" is not an id"));
    tokens.push_back(std::move(token));
  }
  std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return tokens;
}

std::optional<std::int32_t> named_id(const std::optional<std::string>& token, const char* key,
                                     const Tokenizer& tokenizer) {
  if (!token) return std::nullopt;
  const auto id = tokenizer.id_of(*token);
  if (id) return id;
  throw Error(ExitCode::file, cat(kFile, ": ", key, " \"", printable(*token), "\" is not in the vocabulary"),
              "the configuration and the tokenizer do not belong together, or a token was never added");
}

std::optional<std::int32_t> customary_id(std::initializer_list<std::string_view> names,
                                         const AddedTokens& added) {
  for (const std::string_view name : names) {
    const auto id = added.id_of(name);
    if (id && added.find(*id)->special) return id;
  }
  return std::nullopt;
}

}  // namespace

TokenizerConfig TokenizerConfig::parse(const TokenizerFiles& files) {
  TokenizerConfig made;
  const auto file = files.find(kFile);
  if (file == files.end()) return made;
  const Json json = parse_json(file->second, {kFile, ExitCode::file});
  const Component config(json, kFile);
  made.present = true;
  made.bos = read_token(config, "bos_token");
  made.eos = read_token(config, "eos_token");
  made.pad = read_token(config, "pad_token");
  made.unk = read_token(config, "unk_token");
  append_tokens(config, "additional_special_tokens", made.other_special);
  append_tokens(config, "extra_special_tokens", made.other_special);
  for (const char* key : {"cls_token", "sep_token", "mask_token"}) {
    if (auto token = read_token(config, key)) made.other_special.push_back(std::move(*token));
  }
  made.add_bos = read_flag(config, "add_bos_token");
  made.add_eos = read_flag(config, "add_eos_token");
  made.add_prefix_space = read_flag(config, "add_prefix_space");
  made.legacy = config.flag_or("legacy", false);
  made.added = read_added(config);
  return made;
}

std::vector<std::string> TokenizerConfig::special_tokens() const {
  std::vector<std::string> tokens = other_special;
  for (const auto& token : {bos, eos, pad, unk}) {
    if (token) tokens.push_back(*token);
  }
  return tokens;
}

SpecialIds find_special_ids(const TokenizerConfig& config, const Tokenizer& tokenizer,
                            const AddedTokens& added) {
  if (config.present) {
    return {named_id(config.bos, "bos_token", tokenizer), named_id(config.eos, "eos_token", tokenizer),
            named_id(config.pad, "pad_token", tokenizer), named_id(config.unk, "unk_token", tokenizer)};
  }
  return {customary_id({"<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>"}, added),
          customary_id({"</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"}, added),
          customary_id({"<pad>", "[PAD]", "<|pad|>"}, added), customary_id({"<unk>", "[UNK]"}, added)};
}

}  // namespace lora
