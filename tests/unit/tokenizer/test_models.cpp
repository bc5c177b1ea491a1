#include "parts.h"
#include "support/catch.h"
#include "support/errors.h"
#include "tokenizer/token_model.h"

using namespace lora;
using lora::test::Parsed;
using lora::test::require_error;

namespace {

std::unique_ptr<TokenModel> model(const std::string& json, const IdSet& special = {}) {
  const Parsed parsed(json);
  const Component component = parsed.component();
  return make_model(component, {Vocabulary::parse(component), special});
}

TokenIds ids_of(const TokenModel& made, const std::string& word, SpecialText mode = SpecialText::parse) {
  TokenIds ids;
  made.tokenize(word, mode, ids);
  return ids;
}

TokenIds ids_of(const std::string& json, const std::string& word) { return ids_of(*model(json), word); }

IdSet set_of(std::initializer_list<std::int32_t> ids) {
  IdSet set;
  for (const std::int32_t id : ids) set.insert(id);
  return set;
}

std::string bpe(const std::string& vocab, const std::string& merges, const std::string& more = "") {
  return R"({"type": "BPE", "vocab": {)" + vocab + R"(}, "merges": [)" + merges + "]" + more + "}";
}

const std::string kAbc = R"("a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "abc": 5, "<unk>": 6)";

}  // namespace

TEST_CASE("BPE: the merge that ranks first is done first, wherever it is") {
  CHECK(ids_of(bpe(kAbc, R"("a b", "b c")"), "abc") == TokenIds{3, 2});
  CHECK(ids_of(bpe(kAbc, R"("b c", "a b")"), "abc") == TokenIds{0, 4});
  CHECK(ids_of(bpe(kAbc, R"("b c", "a bc")"), "abcab") == TokenIds{5, 0, 1});
}

TEST_CASE("BPE: equal merges are done from left to right") {
  const std::string json = bpe(R"("a": 0, "aa": 1, "aaaa": 2)", R"("a a", "aa aa")");
  CHECK(ids_of(json, "aaa") == TokenIds{1, 0});
  CHECK(ids_of(json, "aaaaaa") == TokenIds{2, 1});
}

TEST_CASE("BPE: merges may be pairs, and then contain spaces") {
  CHECK(ids_of(bpe(R"("a": 0, " ": 1, "a ": 2)", R"(["a", " "])"), "a a") == TokenIds{2, 0});
}

TEST_CASE("BPE: unknown characters, fused or each for itself, or left out without an unknown token") {
  CHECK(ids_of(bpe(kAbc, "", R"(, "unk_token": "<unk>", "fuse_unk": false)"), "xyax") ==
        TokenIds{6, 6, 0, 6});
  CHECK(ids_of(bpe(kAbc, "", R"(, "unk_token": "<unk>", "fuse_unk": true)"), "xyax") == TokenIds{6, 0, 6});
  CHECK(ids_of(bpe(kAbc, ""), "xyax") == TokenIds{0});
}

TEST_CASE("BPE: byte fallback spells a character only if all of its bytes have tokens") {
  const std::string vocab = kAbc + R"(, "<0xC3>": 7, "<0xA9>": 8)";
  const std::string json = bpe(vocab, "", R"(, "unk_token": "<unk>", "byte_fallback": true)");
  CHECK(ids_of(json, "aé") == TokenIds{0, 7, 8});
  CHECK(ids_of(json, "aö") == TokenIds{0, 6});
}

TEST_CASE("BPE: prefixes of continuing and suffixes of last characters") {
  const std::string prefixed =
      bpe(R"("a": 0, "##b": 1, "ab": 2)", R"("a ##b")", R"(, "continuing_subword_prefix": "##")");
  CHECK(ids_of(prefixed, "abb") == TokenIds{2, 1});
  const std::string suffixed =
      bpe(R"("a": 0, "a</w>": 1, "aa</w>": 2)", R"("a a</w>")", R"(, "end_of_word_suffix": "</w>")");
  CHECK(ids_of(suffixed, "aaa") == TokenIds{0, 2});
}

TEST_CASE("BPE: ignore_merges takes whole words from the vocabulary") {
  CHECK(ids_of(bpe(kAbc, "", R"(, "ignore_merges": true)"), "abc") == TokenIds{5});
  CHECK(ids_of(bpe(kAbc, "", R"(, "ignore_merges": true)"), "abcc") == TokenIds{0, 1, 2, 2});
}

TEST_CASE("BPE: a word of a million characters takes no quadratic time") {
  const std::string json = bpe(R"("a": 0, "aa": 1, "aaaa": 2)", R"("a a", "aa aa")");
  CHECK(ids_of(json, std::string(1000000, 'a')) == TokenIds(250000, 2));
}

TEST_CASE("models: in plain mode no path leads to a special token") {
  const IdSet special = set_of({5, 6});
  const auto merged = model(bpe(kAbc, R"("b c", "a bc")", R"(, "ignore_merges": true)"), special);
  CHECK(ids_of(*merged, "abc", SpecialText::parse) == TokenIds{5});
  CHECK(ids_of(*merged, "abc", SpecialText::plain) == TokenIds{0, 4});
  const auto pieces =
      model(R"({"type": "WordPiece", "unk_token": "u", "vocab": {"u": 0, "[S]": 1, "[": 2, "##S]": 3}})",
            set_of({1}));
  CHECK(ids_of(*pieces, "[S]", SpecialText::parse) == TokenIds{1});
  CHECK(ids_of(*pieces, "[S]", SpecialText::plain) == TokenIds{2, 3});
  const auto unigram =
      model(R"({"type": "Unigram", "unk_id": 0, "vocab": [["u", 0], ["<s>", 0], ["<", -5], ["s>", -5]]})",
            set_of({1}));
  CHECK(ids_of(*unigram, "<s>", SpecialText::parse) == TokenIds{1});
  CHECK(ids_of(*unigram, "<s>", SpecialText::plain) == TokenIds{2, 3});
  const auto words =
      model(R"({"type": "WordLevel", "unk_token": "u", "vocab": {"u": 0, "</s>": 1}})", set_of({1}));
  CHECK(ids_of(*words, "</s>", SpecialText::parse) == TokenIds{1});
  CHECK(ids_of(*words, "</s>", SpecialText::plain) == TokenIds{0});
}

TEST_CASE("WordPiece: the longest piece first; a word without pieces is unknown as a whole") {
  const std::string vocab = R"("[UNK]": 0, "un": 1, "##aff": 2, "##able": 3, "##a": 4, "u": 5, "日": 6)";
  const std::string json =
      R"({"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 9, "vocab": {)" + vocab +
      "}}";
  CHECK(ids_of(json, "unaffable") == TokenIds{1, 2, 3});
  CHECK(ids_of(json, "ua") == TokenIds{5, 4});
  CHECK(ids_of(json, "unx") == TokenIds{0});
  CHECK(ids_of(json, "日") == TokenIds{6});
  CHECK(ids_of(json, "unaffablea") == TokenIds{0});  // ten characters
}

TEST_CASE("Unigram: the division with the greatest sum of scores") {
  const std::string json =
      R"({"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1], ["b", -1], ["ab", -3],
                               ["abc", -2.5], ["c", -1], ["cd", -1.5], ["d", -1]]})";
  CHECK(ids_of(json, "ab") == TokenIds{1, 2});       // -2 beats -3
  CHECK(ids_of(json, "abc") == TokenIds{4});         // -2.5 beats -3
  CHECK(ids_of(json, "abcd") == TokenIds{1, 2, 6});  // -3.5, like abc d; the first found stays
  CHECK(ids_of(json, "xyb") == TokenIds{0, 2});      // unknown characters in a row are one token
}

TEST_CASE("Unigram: byte fallback spells unknown characters") {
  const std::string json = R"({"type": "Unigram", "unk_id": 0, "byte_fallback": true,
                               "vocab": [["<unk>", 0], ["a", -1], ["<0xC3>", -2], ["<0xA9>", -2]]})";
  CHECK(ids_of(json, "aé") == TokenIds{1, 2, 3});
  CHECK(ids_of(json, "ö") == TokenIds{0});
}

TEST_CASE("Unigram and WordLevel: without an unknown token an unknown text is a data error") {
  require_error([] { ids_of(R"({"type": "Unigram", "vocab": [["a", -1]]})", "b"); }, ExitCode::data,
                {"\"b\""});
  require_error([] { ids_of(R"({"type": "WordLevel", "vocab": {"a": 0}})", "b"); }, ExitCode::data,
                {"\"b\""});
}

TEST_CASE("models: files from before there were types are recognised by their keys") {
  const auto type_of = [](const std::string& json) { return model_type(Parsed(json).component()); };
  CHECK(type_of(R"({"vocab": {}, "merges": []})") == "BPE");
  CHECK(type_of(R"({"vocab": {}, "max_input_chars_per_word": 100})") == "WordPiece");
  CHECK(type_of(R"({"vocab": []})") == "Unigram");
  CHECK(type_of(R"({"vocab": {}, "unk_token": "u"})") == "WordLevel");
}

TEST_CASE("models: holes between ids and repeated pieces are as trainers leave them") {
  const auto holed = model(R"({"type": "WordLevel", "vocab": {"a": 0, "b": 2}})");
  CHECK(holed->vocabulary().size() == 3);
  CHECK(holed->vocabulary().count() == 2);
  CHECK_FALSE(holed->vocabulary().contains(1));
  CHECK(ids_of(R"({"type": "Unigram", "vocab": [["a", -1], ["a", -2]]})", "a") == TokenIds{1});
}

TEST_CASE("models: what is wrong in a file is named") {
  struct Wrong {
    const char* json;
    const char* said;
  };
  for (const Wrong& wrong : {
           Wrong{R"({"type": "Magic", "vocab": {}})", "\"Magic\""},
           Wrong{R"({"type": "BPE", "vocab": {"a": 0}})", "merges"},
           Wrong{R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]})", "\"b\""},
           Wrong{R"({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]})", "\"ab\""},
           Wrong{R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]})", "two tokens"},
           Wrong{R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a a a"]})", "two tokens"},
           Wrong{R"({"type": "BPE", "vocab": {"a": 0}, "merges": [[1, 2]]})", "merge"},
           Wrong{R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1})", "dropout"},
           Wrong{R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "u"})", "unk_token"},
           Wrong{R"({"type": "WordPiece", "vocab": {"a": 0}})", "unk_token"},
           Wrong{R"({"type": "WordLevel", "vocab": {"a": -1}})", "-1"},
           Wrong{R"({"type": "WordLevel", "vocab": {"a": 2000000000}})", "2000000000"},
           Wrong{R"({"type": "WordLevel", "vocab": {"a": 99999999999999999999}})", "\"a\""},
           Wrong{R"({"type": "WordLevel", "vocab": {"a": 0, "b": 0}})", "id 0"},
           Wrong{R"({"type": "WordLevel", "vocab": {"a": 0.5}})", "\"a\""},
           Wrong{R"({"type": "WordLevel", "vocab": {"a": "0"}})", "\"a\""},
           Wrong{R"({"type": "WordLevel", "vocab": 3})", "vocab"},
           Wrong{R"({"type": "WordLevel"})", "vocab"},
           Wrong{R"({"type": "WordLevel", "vocab": [["a", 0]]})", "object"},
           Wrong{R"({"type": "Unigram", "vocab": []})", "vocabulary"},
           Wrong{R"({"type": "Unigram", "vocab": {"a": 0}})", "vocabulary"},
           Wrong{R"({"type": "Unigram", "vocab": [["a"]]})", "entry 0"},
           Wrong{R"({"type": "Unigram", "vocab": [["a", "b"]]})", "score"},
           Wrong{R"({"type": "Unigram", "vocab": [["a", 0]], "unk_id": 1})", "unk_id"},
       }) {
    INFO(wrong.json);
    require_error([&] { model(wrong.json); }, ExitCode::file, {"tokenizer.json", wrong.said});
  }
}
