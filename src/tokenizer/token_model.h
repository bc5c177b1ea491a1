#pragma once

#include <memory>

#include "lora/tokenizer/tokenizer.h"
#include "tokenizer/byte_ids.h"
#include "tokenizer/vocabulary.h"

namespace lora {

class Component;

/// What every kind of model is made from.
struct ModelParts {
  Vocabulary vocabulary;
  IdSet special;  ///< ids that text in SpecialText::plain must not yield
};

/// Divides one word into tokens of a vocabulary. Thread-safe.
class TokenModel {
 public:
  explicit TokenModel(ModelParts parts) : parts_(std::move(parts)) {}
  virtual ~TokenModel() = default;

  /// Appends the ids of `word`, which is not empty. Data error for a character that cannot be expressed.
  virtual void tokenize(std::string_view word, SpecialText mode, TokenIds& ids) const = 0;
  virtual std::string kind() const = 0;

  const Vocabulary& vocabulary() const { return parts_.vocabulary; }

 protected:
  bool allowed(std::int32_t id, SpecialText mode) const {
    return mode == SpecialText::parse || !parts_.special.contains(id);
  }
  std::optional<std::int32_t> find(std::string_view token, SpecialText mode) const {
    const auto id = parts_.vocabulary.id_of(token);
    return id && allowed(*id, mode) ? id : std::nullopt;
  }
  /// The id of the token that `component` names under "unk_token"; file error if it is not in the vocabulary.
  std::optional<std::int32_t> read_unknown(const Component& component) const;

 private:
  ModelParts parts_;
};

/// "type" of a model; files from before there were types are recognised by their keys.
std::string model_type(const Component& component);
/// File error for a type that is not supported and for whatever is wrong in the model.
std::unique_ptr<TokenModel> make_model(const Component& component, ModelParts parts);

std::unique_ptr<TokenModel> make_bpe(const Component& component, ModelParts parts);
std::unique_ptr<TokenModel> make_wordpiece(const Component& component, ModelParts parts);
std::unique_ptr<TokenModel> make_unigram(const Component& component, ModelParts parts);
std::unique_ptr<TokenModel> make_word_level(const Component& component, ModelParts parts);

}  // namespace lora
