#include "tokenizer/json_tokenizer.h"

#include <algorithm>
#include <unordered_set>

#include "tokenizer/component.h"

namespace lora {
namespace {

constexpr const char* kFile = "tokenizer.json";

/// Marks what the configuration calls special, and collects the ids of all special tokens.
IdSet mark_special(const TokenizerConfig& config, const Vocabulary& vocabulary,
                   std::vector<AddedToken>& added) {
  const std::vector<std::string> names = config.special_tokens();
  const std::unordered_set<std::string> listed(names.begin(), names.end());
  IdSet special;
  for (AddedToken& token : added) {
    token.special |= listed.count(token.content) > 0;
    if (token.special) special.insert(token.id);
  }
  for (const std::string& name : names) {
    if (const auto id = vocabulary.id_of(name)) special.insert(*id);
  }
  return special;
}

}  // namespace

std::unique_ptr<Tokenizer> JsonTokenizer::make(const TokenizerFiles& files) {
  const Json json = parse_json(files.at(kFile), {kFile, ExitCode::file});
  return std::unique_ptr<Tokenizer>(new JsonTokenizer(Component(json, kFile), TokenizerConfig::parse(files)));
}

JsonTokenizer::JsonTokenizer(const Component& file, const TokenizerConfig& config) {
  if (file.text_or("version", "1.0") != "1.0")
    file.refuse(cat("the version ", file.text("version"), " is unknown"));
  if (file.has("normalizer")) normalizer_ = make_normalizer(file.child("normalizer"));
  if (file.has("pre_tokenizer")) pre_tokenizer_ = make_pre_tokenizer(file.child("pre_tokenizer"));
  if (file.has("decoder")) decoder_ = make_decoder(file.child("decoder"));
  const Component model = file.child("model");
  Vocabulary vocabulary = Vocabulary::parse(model);
  std::vector<AddedToken> added = read_added_tokens(file, vocabulary);
  special_ = mark_special(config, vocabulary, added);
  size_ = vocabulary.size();
  for (const AddedToken& token : added) size_ = std::max(size_, token.id + 1);
  if (file.has("post_processor")) read_post_processor(file.child("post_processor"));
  model_ = make_model(model, {std::move(vocabulary), special_});
  added_.emplace(std::move(added), normalizer_.get());
  special_ids_ = find_special_ids(config, *this, *added_);
}

void JsonTokenizer::read_post_processor(const Component& component) {
  post_processor_ = PostProcessor::parse(component);
  const std::int32_t greatest = post_processor_.greatest_id();
  if (greatest >= size_)
    component.refuse(cat("the id ", greatest, " is not in the vocabulary of ", size_, " tokens"));
}

std::string JsonTokenizer::kind() const {
  const bool bytes = pre_tokenizer_ && pre_tokenizer_->makes_bytes();
  return cat(bytes ? "byte-level " : "", model_->kind());
}

void JsonTokenizer::append_ids(Fragment fragment, SpecialText mode, TokenIds& ids) const {
  Fragments words;
  if (pre_tokenizer_) {
    pre_tokenizer_->split(std::move(fragment), words);
  } else {
    words.push_back(std::move(fragment));
  }
  for (const Fragment& word : words) model_->tokenize(word.text, mode, ids);
}

std::string JsonTokenizer::decode(const TokenIds& ids, bool skip_special) const {
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) {
    if (skip_special && special_.contains(id)) continue;
    if (const AddedToken* added = added_->find(id)) {
      tokens.push_back(added_->pattern(*added));
    } else if (model_->vocabulary().contains(id)) {
      tokens.push_back(model_->vocabulary().token_of(id));
    }
  }
  if (!decoder_) return join(tokens, " ");
  decoder_->apply(tokens);
  return join(tokens, "");
}

std::optional<std::int32_t> JsonTokenizer::id_of(std::string_view token) const {
  const auto id = added_->id_of(token);
  return id ? id : model_->vocabulary().id_of(token);
}

std::string JsonTokenizer::token_of(std::int32_t id) const {
  if (const AddedToken* added = added_->find(id)) return added->content;
  if (model_->vocabulary().contains(id)) return model_->vocabulary().token_of(id);
  throw_unknown_id(id, size_);
}

}  // namespace lora
