#include "tokenizer/vocabulary.h"

#include "tokenizer/component.h"

namespace lora {
namespace {

std::vector<std::string> tokens_of_object(const Component& model, const Json& vocab) {
  std::vector<std::string> tokens(vocab.size());
  std::vector<bool> used(vocab.size());
  for (const auto& [token, value] : vocab.items()) {
    const std::int64_t id = json_int(value, token, model.origin());
    if (id < 0 || static_cast<std::size_t>(id) >= tokens.size()) {
      model.refuse(cat("the vocabulary gives \"", printable(token), "\" the id ", id, ", but its ", tokens.size(),
                       " tokens need the ids 0 to ", tokens.size() - 1, " without holes"));
    }
    const auto slot = static_cast<std::size_t>(id);
    if (used[slot]) {
      model.refuse(cat("the vocabulary gives the id ", id, " to \"", printable(tokens[slot]), "\" and to \"",
                       printable(token), "\""));
    }
    used[slot] = true;
    tokens[slot] = token;
  }
  return tokens;
}

std::vector<std::string> tokens_of_array(const Component& model, const Json& vocab) {
  std::vector<std::string> tokens;
  tokens.reserve(vocab.size());
  for (const Json& entry : vocab) {
    if (!entry.is_array() || entry.size() != 2)
      model.refuse(cat("entry ", tokens.size(), " of the vocabulary is not a pair [token, score]"));
    tokens.push_back(json_string(entry[0], "token", model.origin()));
  }
  return tokens;
}

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {
  ids_.reserve(tokens_.size());
  for (std::size_t id = 0; id < tokens_.size(); ++id) ids_.emplace(tokens_[id], static_cast<std::int32_t>(id));
}

Vocabulary Vocabulary::parse(const Component& model) {
  const Json& vocab = model.at("vocab");
  if (!vocab.is_object() && !vocab.is_array()) model.refuse("\"vocab\" must be an object or an array");
  if (vocab.size() > static_cast<std::size_t>(INT32_MAX)) model.refuse("the vocabulary is too large");
  Vocabulary made(vocab.is_object() ? tokens_of_object(model, vocab) : tokens_of_array(model, vocab));
  if (made.ids_.size() != made.tokens_.size()) model.refuse("a token occurs twice in the vocabulary");
  return made;
}

void throw_unknown_id(std::int32_t id, std::int32_t size) {
  throw Error(ExitCode::mismatch, cat("there is no token ", id, ": the tokenizer has the ids 0 to ", size - 1),
              "ids and tokenizer do not belong together");
}

}  // namespace lora
