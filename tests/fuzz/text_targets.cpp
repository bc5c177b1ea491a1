#include "base/json.h"
#include "checkpoint/peft_config.h"
#include "data/row_shape.h"
#include "data/row_source.h"
#include "fuzz_target.h"
#include "lora/base/text.h"
#include "lora/config/config_json.h"
#include "lora/config/train_config.h"
#include "lora/tokenizer/chat.h"
#include "tokenizer/unicode.h"
#include "unit/tokenizer/tiny_tokenizers.h"

namespace lora::fuzz {
namespace {

using Inputs = std::vector<std::string>;

constexpr const char* kText = "hi there, s\xC3\xA9 \xE2\x82\xAC </s><user>  9 You're";

/// Numbers of one digit: the most values for the bytes.
std::string many_numbers(std::size_t bytes) {
  std::string list = "[0";
  while (list.size() < bytes) list += ",0";
  return list + "]";
}

// --- rows ---

/// Reads on behind bad rows, as --skip-bad does.
void read_rows(std::string_view input) {
  RowSource source(input, "input");
  const FieldNames names({}, standard_fields());
  while (const auto row = source.next()) {
    try {
      const JsonOrigin origin{cat("input line ", row->number), ExitCode::data};
      const Json json = parse_json(row->text, origin);
      const RowFields fields(json, names, origin);
      const RowShape& shape = shape_of(fields);
      shape.read(fields);
      unused_fields(shape, fields);
    } catch (const Error& error) {
      if (error.code() != ExitCode::data) throw;
    }
  }
}

Inputs row_seeds() {
  return {
      R"({"prompt": "the c\u00e9t", "completion": " sat"}
{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "\ud83d\ude00"}]}
)",
      R"({"input_ids": [1, 2, 3], "labels": [-100, 2, 3], "attention_mask": [1, 1, 0]}
{"input_ids": [1], "label": true}
{"text": "a", "text_pair": "b", "label": 1.5}
)",
      "\xEF\xBB\xBF[{\"instruction\": \"a\", \"input\": null, \"output\": \"b\"},\r\n {\"text\": \"c\"}]\n"};
}

Inputs large_rows() {
  return {R"({"input_ids": )" + many_numbers(4 << 20) + R"(, "labels": [1]})", many_numbers(4 << 20)};
}

// --- config files ---

void read_config(std::string_view input) {
  TrainConfig config;
  read_json_text(options_of(config), input, "input");
}

/// A list of many names.
Inputs large_configs() {
  std::string names;
  while (names.size() < (4 << 20)) names += ",\"a\"";
  return {cat(R"({"targets": ["q")", names, "]}")};
}

Inputs config_seeds() {
  return {
      config_json(TrainConfig()),
      R"({"rank": 8, "alpha": 1e1, "targets": ["q_proj", "/l.[0-1]/"], "learning_rate": null, "bias": "all"})",
      R"({"options": {"epochs": 2, "freeze_a": true}, "version": "0.1.0"})"};
}

// --- adapter_config.json ---

void read_peft_config(std::string_view input) {
  const JsonOrigin origin{"input", ExitCode::file};
  const PeftConfig config = parse_peft_config(parse_json(input, origin), origin);
  is_targeted(config, "model.layers.0.self_attn.q_proj");
  config.of("model.layers.0.self_attn.q_proj");
}

Inputs peft_seeds() {
  return {
      R"({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "lora_dropout": 0.1,
"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"layers\\.0.*q_proj": 4}, "alpha_pattern": {"v_proj": 2.5},
"modules_to_save": ["score"], "bias": "none", "use_rslora": true, "fan_in_fan_out": false})",
      R"({"peft_type": "LORA", "target_modules": ".*\\.(q|v)_proj", "use_dora": true, "init_lora_weights": true,
"layers_to_transform": [0, 1], "trainable_token_indices": {"embed_tokens": [1, 2]}, "exclude_modules": "x"})",
      R"({"peft_type": "TRAINABLE_TOKENS", "token_indices": [1, 5], "target_modules": ["embed_tokens"]})"};
}

Inputs deep_expressions() {
  const auto config = [](const std::string& expression) {
    return cat(R"({"peft_type": "LORA", "r": 8, "lora_alpha": 8, "target_modules": ")", expression, "\"}");
  };
  const std::size_t depth = 200'000;
  return {config(std::string(depth, '(') + "a" + std::string(depth, ')')),
          config(std::string(depth, 'a') + ".*")};
}

// --- tokenizer.json ---

void read_tokenizer(std::string_view input) {
  const auto tokenizer = make_tokenizer({{"tokenizer.json", std::string(input)}});
  for (const SpecialText mode : {SpecialText::plain, SpecialText::parse}) {
    const TokenIds ids = tokenizer->encode(kText, mode);
    tokenizer->decode(ids, mode == SpecialText::plain);
    tokenizer->with_special(ids, &ids);
  }
}

Inputs tokenizer_seeds() {
  return {
      lora::test::word_tokenizer_json(),
      R"({"version": "1.0", "added_tokens": [{"id": 6, "content": "<|end|>", "special": true, "lstrip": true}],
"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"},
  {"type": "Replace", "pattern": {"String": " "}, "content": "_"}]},
"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "use_regex": true},
"post_processor": {"type": "ByteLevel", "trim_offsets": true}, "decoder": {"type": "ByteLevel"},
"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "h": 3, "i": 4, "hi": 5}, "merges": ["a b", ["h", "i"]]}})",
      R"({"version": "1.0", "added_tokens": [], "normalizer": {"type": "Prepend", "prepend": "_"},
"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\p{L}+|\\s+(?!\\S)|\\d{1,3}"}, "behavior": "Isolated",
  "invert": false}, "post_processor": null, "decoder": {"type": "Metaspace", "replacement": "\u2581"},
"model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
  "vocab": [["<unk>", 0], ["h", -1], ["i", -1.5], ["hi", -2]]}})",
      R"({"version": "1.0", "added_tokens": [{"id": 1, "content": "[CLS]", "special": true},
{"id": 2, "content": "[SEP]", "special": true}], "normalizer": {"type": "BertNormalizer", "lowercase": true},
"pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2],
"cls": ["[CLS]", 1]}, "decoder": {"type": "WordPiece", "prefix": "##"}, "model": {"type": "WordPiece",
"unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
"vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "hi": 3, "##re": 4, "the": 5}}})"};
}

/// Long pieces that share little; a normalizer that makes each text sixteen times as long, eight times over.
Inputs greedy_tokenizers() {
  std::string pieces, replacements;
  for (int i = 0; i < 40'000; ++i) {
    pieces += ",[\"";
    for (int k = 0; k < 30; ++k)
      pieces += to_utf8(static_cast<char32_t>(0x4e00 + (i * 31 + k * k * 17) % 20'000));
    pieces += cat(i, "\",-1]");
  }
  for (int i = 0; i < 8; ++i)
    replacements +=
        cat(i ? "," : "", R"({"type":"Replace","pattern":{"Regex":""},"content":"0123456789abcdef"})");
  return {cat(R"({"version":"1.0","model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0])", pieces, "]}}"),
          cat(R"({"version":"1.0","added_tokens":[{"id":1,"content":"a","normalized":true}],"normalizer":)",
              R"({"type":"Sequence","normalizers":[)", replacements,
              R"(]},"model":{"type":"BPE","vocab":{"b":0,"a":1},"merges":[]}})")};
}

// --- chat templates ---

/// A long text; as many roles as there is room for.
Inputs large_chats() {
  constexpr const char* kRest =
      R"("begin": "", "generation": "", "roles": {"user": {"prefix": "", "suffix": ""})";
  std::string roles;
  for (int i = 0; roles.size() < (4 << 20); ++i) roles += cat(",\"", i, R"(":{"prefix":"","suffix":""})");
  return {cat(R"({"default_system": ")", std::string(4 << 20, 'x'), "\", ", kRest, "}}"),
          cat("{", kRest, roles, "}}")};
}

void read_chat_template(std::string_view input) {
  const ChatTemplate chat = ChatTemplate::parse(std::string(input));
  static const auto tokenizer = lora::test::word_tokenizer();
  encode_chat(chat, {{"system", " be kind "}, {"user", "hi"}, {"assistant", kText}}, *tokenizer, true);
}

Inputs chat_seeds() {
  return {
      R"({"begin": "<s>", "generation": "<bot>", "roles": {"user": {"prefix": "<user>", "suffix": ".", "trim": true},
"assistant": {"prefix": "<bot>", "suffix": "</s>"}, "system": {"prefix": "", "suffix": "\n"}}})",
      R"({"begin": "", "generation": "<bot>", "default_system": "be", "system_in_first_user": true, "roles":
{"user": {"prefix": "<user>", "suffix": ""}, "assistant": {"prefix": "<bot>", "suffix": "</s>"}}})"};
}

}  // namespace

std::vector<FuzzTarget> text_targets() {
  // A value of JSON is 16 bytes, in a vector that grows by doubling; it may stand for two characters.
  constexpr double kTree = 30;
  return {{"rows", read_rows, row_seeds, large_rows, kTree},
          {"config", read_config, config_seeds, large_configs, 40},
          {"peft_config", read_peft_config, peft_seeds, deep_expressions, kTree},
          {"tokenizer", read_tokenizer, tokenizer_seeds, greedy_tokenizers, kTree},
          {"chat_template", read_chat_template, chat_seeds, large_chats, kTree}};
}

}  // namespace lora::fuzz
