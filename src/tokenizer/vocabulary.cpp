#include "tokenizer/vocabulary.h"

#include <algorithm>

#include "tokenizer/component.h"

namespace lora {
namespace {

constexpr std::size_t kMostTokens = std::size_t{1} << 28;  ///< ids and their doubles fit into 31 bits

struct Numbered {
  std::vector<std::string> tokens;
  std::vector<bool> known;
};

Numbered read_object(const Component& model, const Json& vocab) {
  Numbered read;
  for (const auto& [token, value] : vocab.items()) {
    const std::int64_t id = json_int(value, token, model.origin());
    const auto slot = static_cast<std::size_t>(id);
    if (id < 0 || slot >= 2 * vocab.size()) {
      model.refuse(cat("the vocabulary gives \"", printable(token), "\" the id ", id,
                       ", which does not fit its ", vocab.size(), " tokens"));
    }
    if (slot >= read.tokens.size()) {
      read.tokens.resize(slot + 1);
      read.known.resize(slot + 1);
    }
    if (read.known[slot]) {
      model.refuse(cat("the vocabulary gives the id ", id, " to \"", printable(read.tokens[slot]),
                       "\" and to \"", printable(token), "\""));
    }
    read.known[slot] = true;
    read.tokens[slot] = token;
  }
  return read;
}

Numbered read_array(const Component& model, const Json& vocab) {
  Numbered read;
  read.tokens.reserve(vocab.size());
  for (const Json& entry : vocab) {
    if (!entry.is_array() || entry.size() != 2)
      model.refuse(cat("entry ", read.tokens.size(), " of the vocabulary is not a pair [token, score]"));
    read.tokens.push_back(json_string(entry[0], "token", model.origin()));
  }
  read.known.assign(read.tokens.size(), true);
  return read;
}

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> tokens, std::vector<bool> known)
    : tokens_(std::move(tokens)),
      known_(std::move(known)),
      count_(static_cast<std::int32_t>(std::count(known_.begin(), known_.end(), true))) {
  ids_.reserve(tokens_.size());
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    if (known_[id]) ids_[tokens_[id]] = static_cast<std::int32_t>(id);
  }
}

Vocabulary Vocabulary::parse(const Component& model) {
  const Json& vocab = model.at("vocab");
  if (!vocab.is_object() && !vocab.is_array()) model.refuse("\"vocab\" must be an object or an array");
  if (vocab.size() > kMostTokens) model.refuse(cat("the vocabulary has more than ", kMostTokens, " tokens"));
  Numbered read = vocab.is_object() ? read_object(model, vocab) : read_array(model, vocab);
  return Vocabulary(std::move(read.tokens), std::move(read.known));
}

void throw_unknown_id(std::int32_t id, std::int32_t size) {
  throw Error(ExitCode::mismatch,
              cat("there is no token ", id, ": the tokenizer has the ids 0 to ", size - 1),
              "ids and tokenizer do not belong together");
}

}  // namespace lora
