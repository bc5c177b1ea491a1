#include <thread>

#include "parts.h"
#include "support/catch.h"
#include "support/errors.h"
#include "tiny_tokenizers.h"

using namespace lora;
using lora::test::require_error;
using lora::test::word_tokenizer;
using lora::test::word_tokenizer_json;

namespace {

/// The tiny tokenizer with `found` replaced in its JSON.
std::string changed(const std::string& found, const std::string& by) {
  std::string json = word_tokenizer_json();
  const std::size_t at = json.find(found);
  REQUIRE(at != std::string::npos);
  return json.replace(at, found.size(), by);
}

std::unique_ptr<Tokenizer> made(const std::string& json, const std::string& config = "") {
  TokenizerFiles files{{"tokenizer.json", json}};
  if (!config.empty()) files["tokenizer_config.json"] = config;
  return make_tokenizer(files);
}

}  // namespace

TEST_CASE("tokenizer.json: content cannot forge special tokens, prompts can spell them") {
  const auto tokenizer = word_tokenizer();
  CHECK(tokenizer->encode("<s> hi") == TokenIds{10, 12, 11, 5});
  CHECK(tokenizer->encode("<s> hi", SpecialText::parse) == TokenIds{1, 5});
  CHECK(tokenizer->encode("") == TokenIds{});
  CHECK(tokenizer->encode("nowhere") == TokenIds{0});
}

TEST_CASE("tokenizer.json: what stands around sequences, and the way back") {
  const auto tokenizer = word_tokenizer();
  const TokenIds first{5}, second{6, 7};
  CHECK(tokenizer->with_special(first).ids == TokenIds{1, 5});
  CHECK(tokenizer->with_special(first, &second).ids == TokenIds{1, 5, 2, 6, 7});
  CHECK(tokenizer->with_special(first, &second).types == TokenIds{0, 0, 1, 1, 1});
  CHECK(tokenizer->decode({1, 5, 6, 2}) == "hi there");
  CHECK(tokenizer->decode({1, 5, 6, 2}, false) == "<s> hi there </s>");
  CHECK(tokenizer->decode({5, -1, 99}) == "hi");
}

TEST_CASE("tokenizer.json: tokens, ids and names") {
  const auto tokenizer = word_tokenizer();
  CHECK(tokenizer->vocab_size() == 15);
  CHECK(tokenizer->id_of("there") == 6);
  CHECK_FALSE(tokenizer->id_of("nowhere").has_value());
  CHECK(tokenizer->token_of(2) == "</s>");
  CHECK(tokenizer->kind() == "WordLevel");
  require_error([&] { tokenizer->token_of(15); }, ExitCode::mismatch, {"15", "0 to 14"});
  CHECK(made(changed(R"({"type": "BertPreTokenizer"})", R"({"type": "ByteLevel"})"))->kind() ==
        "byte-level WordLevel");
}

TEST_CASE("tokenizer.json: special ids by the configuration, or by customary names without one") {
  const SpecialIds customary = word_tokenizer()->special_ids();
  CHECK((customary.bos == 1 && customary.eos == 2 && customary.unk == 0 && !customary.pad));
  const std::string config = R"({"bos_token": null, "eos_token": {"content": "<bot>"}, "pad_token": "</s>"})";
  const SpecialIds given = made(word_tokenizer_json(), config)->special_ids();
  CHECK((!given.bos && given.eos == 4 && given.pad == 2 && !given.unk));
  require_error([] { made(word_tokenizer_json(), R"({"eos_token": "<gone>"})"); }, ExitCode::file,
                {"tokenizer_config.json", "eos_token", "<gone>"});
}

TEST_CASE("tokenizer.json: what only the configuration calls special is guarded as well") {
  const auto tokenizer = made(word_tokenizer_json(), R"({"eos_token": "you"})");
  CHECK(tokenizer->encode("you") == TokenIds{0});
  CHECK(tokenizer->encode("you", SpecialText::parse) == TokenIds{7});
  CHECK(tokenizer->decode({5, 7}) == "hi");
}

TEST_CASE("tokenizer.json: malformed UTF-8 is read as U+FFFD") {
  const auto tokenizer = word_tokenizer();
  CHECK(tokenizer->encode("hi \xFF") == TokenIds{5, 0});
  CHECK(tokenizer->encode("\xE6\x97 there", SpecialText::parse) == TokenIds{0, 6});
  CHECK(tokenizer->encode_inside("\xC0").size() == 1);
}

TEST_CASE("tokenizer.json: inside of a text nothing is put before it") {
  const auto tokenizer =
      made(changed(R"({"type": "BertPreTokenizer"})",
                   R"({"type": "Metaspace", "replacement": "h", "prepend_scheme": "first"})"));
  CHECK(tokenizer->encode("i") == TokenIds{5});         // "hi"
  CHECK(tokenizer->encode_inside("i") == TokenIds{0});  // "i"
  CHECK(tokenizer->encode("<bot>i", SpecialText::parse) == TokenIds{4, 0});
}

TEST_CASE("tokenizer.json: several threads get the same ids") {
  const auto tokenizer = made(R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġab": 4}, "merges": ["a b", "Ġ ab"]}})");
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int& count : wrong) {
    threads.emplace_back([&tokenizer, &count] {
      for (int i = 0; i < 2000; ++i)
        count += tokenizer->encode(std::string(static_cast<std::size_t>(i % 50), 'b') + " ab").back() != 4;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4));
}

TEST_CASE("tokenizer.json: what is wrong in a file is named") {
  require_error([] { made("{}"); }, ExitCode::file, {"tokenizer.json", "model"});
  require_error([] { made("[]"); }, ExitCode::file, {"tokenizer.json"});
  require_error([] { made("{"); }, ExitCode::file, {"tokenizer.json"});
  require_error([] { made(changed("\"1.0\"", "\"2.0\"")); }, ExitCode::file, {"version"});
  require_error([] { made(changed("BertPreTokenizer", "Odd")); }, ExitCode::file,
                {"pre_tokenizer", "\"Odd\""});
  require_error([] { made(changed("TemplateProcessing", "Odd")); }, ExitCode::file,
                {"post_processor", "\"Odd\""});
  require_error([] { made(changed("[1]", "[15]")); }, ExitCode::file, {"post_processor", "id 15"});
  require_error([] { made(changed("WordLevel", "Odd")); }, ExitCode::file, {"model", "\"Odd\""});
  require_error([] { made(changed("\"normalizer\": null", "\"normalizer\": {\"type\": \"Odd\"}")); },
                ExitCode::file, {"normalizer", "\"Odd\""});
  require_error([] { made(changed("\"decoder\": null", "\"decoder\": {\"type\": \"Odd\"}")); },
                ExitCode::file, {"decoder", "\"Odd\""});
  require_error([] { made(changed("\"decoder\": null", "\"decoder\": " + std::string(100, '['))); },
                ExitCode::file);
}

TEST_CASE(
    "tokenizer.json: a file cut off anywhere is refused, a changed byte gives a refusal or a tokenizer") {
  const std::string good = word_tokenizer_json();
  for (std::size_t size = 0; size + 3 < good.size(); ++size)
    require_error([&] { made(good.substr(0, size)); }, ExitCode::file);
  int works = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    try {
      made(bad)->encode("<s> hi there", SpecialText::parse);
      ++works;
    } catch (const Error& error) {
      CHECK((error.code() == ExitCode::file || error.code() == ExitCode::data));
    }
  }
  CHECK(works > 0);
}
