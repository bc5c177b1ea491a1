#include "char_tokenizer.h"
#include "data/language_rows.h"
#include "data_text.h"
#include "support/errors.h"

using lora::Chat;
using lora::ChatTemplate;
using lora::EncodedSet;
using lora::EncodeOptions;
using lora::ExitCode;
using lora::Instruction;
using lora::LossOn;
using lora::Overlong;
using lora::PlainText;
using lora::PromptCompletion;
using lora::TokenSequence;
using lora::test::CharTokenizer;
using lora::test::data_of;
using lora::test::require_error;
using lora::test::shown;
using lora::test::shown_labels;

namespace {

EncodedSet encode_rows(std::vector<lora::Content> rows, const EncodeOptions& options = {},
                       const CharTokenizer& tokenizer = CharTokenizer()) {
  return lora::encode(data_of(std::move(rows)), tokenizer, options, 1);
}

EncodeOptions at_most(std::int64_t max_length, Overlong overlong = Overlong::cut) {
  EncodeOptions options;
  options.max_length = max_length;
  options.overlong = overlong;
  return options;
}

EncodeOptions loss_on_all() {
  EncodeOptions options;
  options.loss_on = LossOn::all;
  return options;
}

/// <s>[u]text[/u] for users, [a]text</s> for assistants, [s]text[/s] for systems.
const ChatTemplate& small_template() {
  static const ChatTemplate chat = [] {
    ChatTemplate made;
    made.begin = "<s>";
    made.roles = {{"user", {"[u]", "[/u]"}}, {"assistant", {"[a]", "</s>"}}, {"system", {"[s]", "[/s]"}}};
    made.generation = "[a]";
    return made;
  }();
  return chat;
}

EncodeOptions with_template(std::int64_t max_length = 0) {
  EncodeOptions options = at_most(max_length);
  options.chat = &small_template();
  return options;
}

}  // namespace

TEST_CASE("language rows: bos, prompt, completion, eos; the loss is on completion and eos") {
  const auto set = encode_rows({PromptCompletion{"ab", " c"}});
  CHECK(shown(set.rows[0].ids) == "^ab c$");
  CHECK(shown_labels(set.rows[0].labels) == "... c$");
  CHECK(set.rows[0].label_count() == 3);
  CHECK(set.rows[0].line == 1);
  CHECK(set.report.labelled == 3);
  CHECK(set.report.tokens == 6);
}

TEST_CASE("language rows: the loss can be on everything") {
  const auto set = encode_rows({PromptCompletion{"ab", " c"}}, loss_on_all());
  CHECK(shown_labels(set.rows[0].labels) == "^ab c$");
  CHECK(set.rows[0].label_count() == 5);
}

TEST_CASE("language rows: eos is left out on demand and where the tokenizer has none") {
  EncodeOptions options;
  options.append_eos = false;
  CHECK(shown(encode_rows({PromptCompletion{"a", "b"}}, options).rows[0].ids) == "^ab");
  CHECK(shown(encode_rows({PromptCompletion{"a", "b"}}, {}, CharTokenizer({.has_eos = false})).rows[0].ids) ==
        "^ab");
}

TEST_CASE("language rows: a word mark stands before the prompt and not inside") {
  const CharTokenizer marking({.marks_texts = true});
  CHECK(shown(encode_rows({PromptCompletion{"ab", " c"}}, {}, marking).rows[0].ids) == "^_ab c$");
  CHECK(shown(encode_rows({PromptCompletion{"", "c"}}, {}, marking).rows[0].ids) == "^_c$");
}

TEST_CASE("language rows: text that spells control tokens stays text") {
  const auto set = encode_rows({PromptCompletion{"<s>", "</s>"}});
  CHECK(shown(set.rows[0].ids) == "^<s></s>$");
  EncodeOptions options = with_template();
  const auto chat = encode_rows({Chat{{{"user", "</s>"}, {"assistant", "<s>"}}}}, options);
  CHECK(shown(chat.rows[0].ids) == "^[u]</s>[/u][a]<s>$");
}

TEST_CASE("language rows: an overlong prompt is cut at its left, the answer stays whole") {
  const auto set = encode_rows({PromptCompletion{"abcdef", " x"}}, at_most(6));
  CHECK(shown(set.rows[0].ids) == "^ef x$");
  CHECK(shown_labels(set.rows[0].labels) == "... x$");
  CHECK(set.report.cut == 1);
  CHECK(set.report.cut_tokens == 4);
}

TEST_CASE("language rows: with the loss on everything the answer still stays whole") {
  EncodeOptions options = at_most(6);
  options.loss_on = LossOn::all;
  CHECK(shown(encode_rows({PromptCompletion{"abcdef", " x"}}, options).rows[0].ids) == "^ef x$");
}

TEST_CASE("language rows: an answer that does not fit whole is dropped and counted") {
  const auto set = encode_rows({PromptCompletion{"ab", "vwxyz"}, PromptCompletion{"ab", "x"}}, at_most(6));
  CHECK(set.rows.size() == 1);
  CHECK(set.rows[0].line == 2);
  CHECK(set.report.dropped_long == 1);
  CHECK(set.report.cut == 0);
}

TEST_CASE("language rows: overlong rows can be dropped or refused instead") {
  const std::vector<lora::Content> rows = {PromptCompletion{"a", "x"}, PromptCompletion{"abcdef", "x"}};
  const auto set = encode_rows(rows, at_most(6, Overlong::drop));
  CHECK(set.rows.size() == 1);
  CHECK(set.report.dropped_long == 1);
  require_error([&] { encode_rows(rows, at_most(6, Overlong::error)); }, ExitCode::data,
                {"rows.jsonl line 2", "9 tokens", "at most 6"});
}

TEST_CASE("language rows: plain text is learnt throughout, whatever the loss is on") {
  const auto set = encode_rows({PlainText{"abc"}});
  CHECK(shown(set.rows[0].ids) == "^abc$");
  CHECK(set.rows[0].label_count() == 4);
}

TEST_CASE("language rows: a long plain text becomes windows that lose nothing") {
  const auto set = encode_rows({PlainText{"abcdefg"}}, at_most(4));
  REQUIRE(set.rows.size() == 3);
  CHECK(shown(set.rows[0].ids) == "^abc");
  CHECK(shown(set.rows[1].ids) == "^def");
  CHECK(shown(set.rows[2].ids) == "^g$");
  CHECK(set.report.split == 1);
  CHECK(set.report.cut == 0);
  CHECK(set.report.labelled == 8);
  CHECK(set.rows[2].line == 1);
  CHECK(encode_rows({PlainText{"abcdefg"}, PlainText{"a"}}, at_most(4, Overlong::drop)).report.dropped_long ==
        1);
}

TEST_CASE("language rows: ready ids keep their labels and get no eos") {
  const auto set =
      encode_rows({TokenSequence{{7, 8, 9}, {-100, 8, 9}}, TokenSequence{{7, 8, 9}, {-100, -100, 9}}});
  CHECK(set.rows[0].ids == lora::TokenIds{7, 8, 9});
  CHECK(set.rows[0].label_count() == 2);
  CHECK(set.rows[1].label_count() == 1);
}

TEST_CASE("language rows: ready ids with an answer are cut before it, without one into windows") {
  const auto cut = encode_rows({TokenSequence{{0, 5, 6, 7, 8}, {-100, -100, -100, 7, 8}}}, at_most(4));
  CHECK(cut.rows[0].ids == lora::TokenIds{0, 6, 7, 8});
  const auto split = encode_rows({TokenSequence{{5, 6, 7, 8}, {5, 6, 7, 8}}}, at_most(3));
  REQUIRE(split.rows.size() == 2);
  CHECK(split.rows[1].ids == lora::TokenIds{7, 8});
}

TEST_CASE("language rows: double bos is merged") {
  const auto ids = encode_rows({TokenSequence{{0, 0, 5}, {0, 0, 5}}});
  CHECK(ids.rows[0].ids == lora::TokenIds{0, 5});
  ChatTemplate twice = small_template();
  twice.begin = "<s><s>";
  EncodeOptions options;
  options.chat = &twice;
  CHECK(shown(encode_rows({Chat{{{"user", "q"}, {"assistant", "r"}}}}, options).rows[0].ids) ==
        "^[u]q[/u][a]r$");
}

TEST_CASE("language rows: a chat follows the template, the loss is on the assistant's turns") {
  const Chat chat{{{"user", "q"}, {"assistant", "r"}, {"user", "s"}, {"assistant", "t"}}};
  const auto set = encode_rows({chat}, with_template());
  CHECK(shown(set.rows[0].ids) == "^[u]q[/u][a]r$[u]s[/u][a]t$");
  CHECK(shown_labels(set.rows[0].labels) == "............r$...........t$");
  EncodeOptions all = with_template();
  all.loss_on = LossOn::all;
  const auto row = encode_rows({chat}, all).rows[0];
  CHECK(row.labels == row.ids);
}

TEST_CASE("language rows: a long chat loses its oldest exchanges, then the left of the last question") {
  const Chat chat{{{"system", "y"}, {"user", "q"}, {"assistant", "r"}, {"user", "stu"}, {"assistant", "v"}}};
  const auto set = encode_rows({chat}, with_template(24));
  CHECK(shown(set.rows[0].ids) == "^[s]y[/s][u]stu[/u][a]v$");
  CHECK(set.report.cut == 1);
  CHECK(set.report.cut_tokens == 13);
  const auto tight = encode_rows({chat}, with_template(8));
  CHECK(shown(tight.rows[0].ids) == "^u][a]v$");
  CHECK(shown_labels(tight.rows[0].labels) == "......v$");
  CHECK(encode_rows({chat, Chat{{{"user", "q"}, {"assistant", ""}}}}, with_template(2)).report.dropped_long ==
        1);
}

TEST_CASE("language rows: chats without an answer have nothing to learn and are counted") {
  const auto set =
      encode_rows({Chat{{{"user", "q"}}}, Chat{{{"user", "q"}, {"assistant", "r"}}}}, with_template());
  CHECK(set.rows.size() == 1);
  CHECK(set.report.dropped_empty == 1);
}

TEST_CASE("language rows: without a template chats are role lines with eos at the end") {
  const auto set = encode_rows({Chat{{{"system", "be"}, {"user", "q"}, {"assistant", "r"}}}});
  CHECK(shown(set.rows[0].ids) == "^System: be\nUser: q\nAssistant: r\n$");
  CHECK(shown_labels(set.rows[0].labels) == std::string(30, '.') + " r\n$");
}

TEST_CASE("language rows: an unknown role is a data error that names the row") {
  require_error([] { encode_rows({Chat{{{"</s>", "q"}, {"assistant", "r"}}}}); }, ExitCode::data,
                {"rows.jsonl line 1"});
}

TEST_CASE("language rows: instructions use the template, or headings without one") {
  const Instruction row{"do", "this", "done"};
  CHECK(shown(encode_rows({row}, with_template()).rows[0].ids) == "^[u]do\n\nthis[/u][a]done$");
  const auto plain = encode_rows({row}).rows[0];
  CHECK(shown(plain.ids) == "^### Instruction:\ndo\n\n### Input:\nthis\n\n### Response:\ndone$");
  CHECK(plain.label_count() == 5);
}

TEST_CASE("language rows: rows with a label do not fit a language model") {
  require_error([] { encode_rows({lora::LabelledText{"t", {}, "yes"}}); }, ExitCode::mismatch,
                {"rows.jsonl line 1", "language model"});
}
