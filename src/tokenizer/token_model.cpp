#include "tokenizer/token_model.h"

#include "tokenizer/component.h"

namespace lora {
namespace {

struct ModelMaker {
  std::string_view type;
  std::unique_ptr<TokenModel> (*make)(const Component&, ModelParts);
};

constexpr ModelMaker kModels[] = {
    {"BPE", make_bpe},
    {"Unigram", make_unigram},
    {"WordLevel", make_word_level},
    {"WordPiece", make_wordpiece},
};

/// Unigram's vocabulary is a list of [token, score], the others' map tokens to ids.
void check_vocabulary(const Component& component, bool has_scores) {
  if (component.at("vocab").is_array() == has_scores) return;
  component.refuse(has_scores ? "the vocabulary must be a list of [token, score]"
                              : "the vocabulary must be an object: token -> id");
}

}  // namespace

std::optional<std::int32_t> TokenModel::read_unknown(const Component& component) const {
  const std::string token = component.text_or("unk_token", "");
  if (token.empty()) return std::nullopt;
  const auto id = vocabulary().id_of(token);
  if (!id) component.refuse(cat("the unk_token \"", printable(token), "\" is not in the vocabulary"));
  return id;
}

std::string model_type(const Component& component) {
  if (component.has("type")) return component.type();
  if (component.has("merges")) return "BPE";
  if (component.has("max_input_chars_per_word")) return "WordPiece";
  return component.at("vocab").is_array() ? "Unigram" : "WordLevel";
}

std::unique_ptr<TokenModel> make_model(const Component& component, ModelParts parts) {
  const std::string type = model_type(component);
  std::vector<std::string_view> known;
  for (const ModelMaker& row : kModels) {
    if (row.type == type) {
      check_vocabulary(component, type == "Unigram");
      return row.make(component, std::move(parts));
    }
    known.push_back(row.type);
  }
  component.refuse(cat("the type \"", printable(type), "\" is not supported"),
                   cat("supported: ", join(known, ", ")));
}

}  // namespace lora
