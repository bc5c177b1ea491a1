#include "eval/ids_only_tokenizer.h"

#include "lora/base/error.h"

namespace lora {
namespace {

[[noreturn]] void refuse() {
  throw Error(ExitCode::file, "text cannot be tokenised: the model file holds no tokenizer",
              "give the tokenizer with --tokenizer FILE_OR_FOLDER");
}

}  // namespace

IdsOnlyTokenizer::IdsOnlyTokenizer(const ModelInfo& info)
    : vocab_size_(static_cast<std::int32_t>(info.vocab_size)), special_{info.bos, info.eos, info.pad, {}} {}

TokenIds IdsOnlyTokenizer::encode(std::string_view, SpecialText) const { refuse(); }

TokenPair IdsOnlyTokenizer::with_special(const TokenIds& first, const TokenIds* second) const {
  TokenPair pair{first, TokenIds(first.size(), 0)};
  if (!second) return pair;
  pair.ids.insert(pair.ids.end(), second->begin(), second->end());
  pair.types.resize(pair.ids.size(), 1);
  return pair;
}

std::string IdsOnlyTokenizer::decode(const TokenIds&, bool) const { refuse(); }

std::optional<std::int32_t> IdsOnlyTokenizer::id_of(std::string_view) const { return std::nullopt; }

std::string IdsOnlyTokenizer::token_of(std::int32_t) const { refuse(); }

}  // namespace lora
