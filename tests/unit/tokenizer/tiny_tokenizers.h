#pragma once

#include <memory>
#include <string>

#include "lora/tokenizer/tokenizer.h"

namespace lora::test {

/// Whole words of a tiny vocabulary with a beginning, an end and three marks of a chat, all special.
///
/// <unk> 0, <s> 1, </s> 2, <user> 3, <bot> 4, hi 5, there 6, you 7, : 8, "." 9, < 10, > 11, s 12, / 13, bot
/// 14
inline std::string word_tokenizer_json() {
  return R"({
    "version": "1.0",
    "added_tokens": [
      {"id": 0, "content": "<unk>", "special": true, "normalized": false},
      {"id": 1, "content": "<s>", "special": true, "normalized": false},
      {"id": 2, "content": "</s>", "special": true, "normalized": false},
      {"id": 3, "content": "<user>", "special": true, "normalized": false},
      {"id": 4, "content": "<bot>", "special": true, "normalized": false}
    ],
    "normalizer": null,
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
      "type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "</s>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]},
                         "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}
    },
    "decoder": null,
    "model": {"type": "WordLevel", "unk_token": "<unk>",
              "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "<user>": 3, "<bot>": 4, "hi": 5, "there": 6, "you": 7,
                        ":": 8, ".": 9, "<": 10, ">": 11, "s": 12, "/": 13, "bot": 14}}
  })";
}

inline std::unique_ptr<Tokenizer> word_tokenizer() {
  return make_tokenizer({{"tokenizer.json", word_tokenizer_json()}});
}

}  // namespace lora::test
