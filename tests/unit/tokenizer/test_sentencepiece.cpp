#include "lora/tokenizer/tokenizer.h"
#include "sentencepiece_writer.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;
using lora::test::require_error;
using lora::test::spm_model;
using lora::test::spm_pieces;
using lora::test::SpmOptions;

namespace {

std::unique_ptr<Tokenizer> made(const std::string& model, const std::string& config = "") {
  TokenizerFiles files{{"tokenizer.model", model}};
  if (!config.empty()) files["tokenizer_config.json"] = config;
  return make_tokenizer(files);
}

std::unique_ptr<Tokenizer> tiny(const std::string& config = "", const SpmOptions& options = {}) {
  return made(spm_model(spm_pieces(), options), config);
}

}  // namespace

TEST_CASE("sentencepiece: text, ids and names") {
  const auto tokenizer = tiny();
  CHECK(tokenizer->kind() == "sentencepiece");
  CHECK(tokenizer->vocab_size() == 13);
  CHECK(tokenizer->encode("hi hi") == TokenIds{4, 4});
  CHECK(tokenizer->decode({4, 4}) == "hi hi");
  CHECK(tokenizer->encode("") == TokenIds{});
  CHECK(tokenizer->id_of("▁hi") == 4);
  CHECK_FALSE(tokenizer->id_of("nowhere").has_value());
  CHECK(tokenizer->token_of(4) == "▁hi");
  require_error([&] { tokenizer->token_of(13); }, ExitCode::mismatch, {"13"});
}

TEST_CASE("sentencepiece: .model wins over tokenizer.json") {
  TokenizerFiles files{{"tokenizer.model", spm_model(spm_pieces())}, {"tokenizer.json", "not read"}};
  CHECK(make_tokenizer(files)->kind() == "sentencepiece");
}

TEST_CASE("sentencepiece: content cannot forge control pieces, prompts can spell them") {
  const auto tokenizer = tiny();
  CHECK(tokenizer->encode("<s>") == TokenIds{3, 8, 10, 9});
  CHECK(tokenizer->encode("<s>", SpecialText::parse) == TokenIds{1});
  CHECK(tokenizer->encode("hi</s>", SpecialText::parse) == TokenIds{4, 2});
  CHECK(tokenizer->encode("<unk>", SpecialText::parse) == TokenIds{0});
}

TEST_CASE("sentencepiece: user-defined pieces are content unless the configuration calls them special") {
  CHECK(tiny()->encode("<mark>") == TokenIds{3, 7});
  const auto guarded = tiny(R"({"additional_special_tokens": ["<mark>"]})");
  CHECK(guarded->encode("<mark>") == TokenIds{3, 8, 11, 9});
  CHECK(guarded->encode("<mark>", SpecialText::parse) == TokenIds{7});
  CHECK(tiny(R"({"extra_special_tokens": {"image_token": "<mark>"}})")->encode("<mark>") ==
        TokenIds{3, 8, 11, 9});
}

TEST_CASE("sentencepiece: only the beginning of a text gets the dummy prefix, or every part in legacy mode") {
  CHECK(tiny()->encode("<s>hi", SpecialText::parse) == TokenIds{1, 5, 6});
  CHECK(tiny()->encode_inside("hi") == TokenIds{5, 6});
  CHECK(tiny(R"({"legacy": true})")->encode("<s>hi", SpecialText::parse) == TokenIds{1, 4});
  CHECK(tiny(R"({"add_prefix_space": false})")->encode("hi hi") == TokenIds{5, 6, 4});
  SpmOptions without;
  without.dummy_prefix = false;
  CHECK(tiny("", without)->encode("hi hi") == TokenIds{5, 6, 4});
}

TEST_CASE("sentencepiece: bos by default where the model has one, both by the configuration") {
  const TokenIds hi{4};
  CHECK(tiny()->with_special(hi).ids == TokenIds{1, 4});
  CHECK(tiny(R"({"add_bos_token": false, "add_eos_token": true})")->with_special(hi).ids == TokenIds{4, 2});
  const SpecialIds ids = tiny()->special_ids();
  CHECK((ids.bos == 1 && ids.eos == 2 && ids.unk == 0 && !ids.pad));
  CHECK(tiny(R"({"pad_token": "</s>"})")->special_ids().pad == 2);
}

TEST_CASE("sentencepiece: added tokens of the configuration follow the pieces") {
  const std::string config = R"({"added_tokens_decoder": {
    "13": {"content": "<turn>", "special": true}, "14": {"content": "<tool>", "special": false, "normalized": false}}})";
  const auto tokenizer = tiny(config);
  CHECK(tokenizer->vocab_size() == 15);
  CHECK(tokenizer->encode("<turn>", SpecialText::parse) == TokenIds{13});
  CHECK(tokenizer->encode("hi<tool>hi") == TokenIds{4, 14, 5, 6});
  for (const std::int32_t id : tokenizer->encode("<turn>")) CHECK(id != 13);
  CHECK(tokenizer->token_of(13) == "<turn>");
  CHECK(tokenizer->decode({4, 13, 4}) == "hi hi");
  CHECK(tokenizer->decode({4, 13, 4}, false) == "hi<turn> hi");
}

TEST_CASE("sentencepiece: a configuration that does not fit is refused") {
  require_error([] { tiny(R"({"added_tokens_decoder": {"15": {"content": "x"}}})"); }, ExitCode::file,
                {"15", "hole"});
  require_error([] { tiny(R"({"added_tokens_decoder": {"4": {"content": "x"}}})"); }, ExitCode::file,
                {"\"x\""});
  require_error([] { tiny(R"({"added_tokens_decoder": {"x": {"content": "x"}}})"); }, ExitCode::file,
                {"\"x\""});
  require_error([] { tiny(R"({"eos_token": "<gone>"})"); }, ExitCode::file, {"<gone>"});
}

TEST_CASE("sentencepiece: malformed UTF-8 is read as U+FFFD") {
  CHECK(tiny()->encode("hi\xFF") == tiny()->encode("hi\uFFFD"));
}

TEST_CASE("sentencepiece: a text that is too long for the library is a data error") {
  require_error([] { tiny()->encode(std::string((std::size_t{1} << 26) + 1, 'h')); }, ExitCode::data,
                {"67108865"});
}

TEST_CASE(
    "sentencepiece: foreign and empty files, and pieces that overflow the library's stack, are refused") {
  require_error([] { made(""); }, ExitCode::file, {"tokenizer.model"});
  require_error([] { made("{\"model\": {}}"); }, ExitCode::file, {"tokenizer.model"});
  auto pieces = spm_pieces();
  pieces.back().text.assign(200000, 'a');
  require_error([&] { made(spm_model(pieces)); }, ExitCode::file, {"piece 12", "4096"});
  SpmOptions damaged;
  damaged.charsmap = std::string(40, '\x7F');
  require_error([&] { tiny("", damaged); }, ExitCode::file, {"tokenizer.model"});
}

TEST_CASE("sentencepiece: a file cut off anywhere or with any flipped bit is refused or works") {
  const std::string good = spm_model(spm_pieces());
  const auto survives = [](const std::string& bytes) {
    bool is_read = false;
    try {
      const auto tokenizer = made(bytes);
      is_read = true;
      tokenizer->encode("hi <s><mark>\u3042", SpecialText::parse);
      return true;
    } catch (const Error& error) {
      CHECK(error.code() == (is_read ? ExitCode::data : ExitCode::file));
      return false;
    }
  };
  int refused = 0;
  for (std::size_t size = 0; size < good.size(); ++size) refused += !survives(good.substr(0, size));
  CHECK(refused > 0);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1 << bit);
      survives(bad);
    }
  }
}
