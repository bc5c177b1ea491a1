#include "data/row_contents.h"
#include "data_text.h"
#include "support/errors.h"

using lora::ExitCode;
using lora::ReadOptions;
using lora::TokenIds;
using lora::test::first_row;
using lora::test::read_text;

namespace {

void require_refused(const std::string& row, std::initializer_list<std::string> parts) {
  INFO(row);
  lora::test::require_error([&] { read_text(row); }, ExitCode::data, parts);
}

}  // namespace

TEST_CASE("row contents: prompt and completion keep every space") {
  const auto row = first_row<lora::PromptCompletion>(R"({"prompt": "a ", "completion": " b\n"})");
  CHECK(row.prompt == "a ");
  CHECK(row.completion == " b\n");
  CHECK(first_row<lora::PromptCompletion>(R"({"prompt": "", "completion": "b"})").prompt.empty());
}

TEST_CASE("row contents: an instruction may have no input, or null for it") {
  CHECK(first_row<lora::Instruction>(R"({"instruction": "i", "input": "x", "output": "o"})").input == "x");
  CHECK(first_row<lora::Instruction>(R"({"instruction": "i", "input": null, "output": "o"})").input.empty());
  CHECK(first_row<lora::Instruction>(R"({"instruction": "i", "output": "o"})").output == "o");
}

TEST_CASE("row contents: labels are strings, numbers or booleans and are kept as text") {
  const auto label = [](const std::string& value) {
    return first_row<lora::LabelledText>(R"({"text": "t", "label": )" + value + "}").label;
  };
  CHECK(label("\"yes\"") == "yes");
  CHECK(label("3") == "3");
  CHECK(label("true") == "true");
  CHECK(label("2.5") == "2.5");
  require_refused(R"({"text": "t", "label": [1]})",
                  {"\"label\" must be a string, a number or a boolean", "array"});
  require_refused(R"({"text": "t", "label": ""})", {"\"label\" is empty"});
}

TEST_CASE("row contents: a text pair is optional") {
  CHECK(first_row<lora::LabelledText>(R"({"text": "t", "text_pair": "u", "label": 1})").text_pair == "u");
  CHECK(!first_row<lora::LabelledText>(R"({"text": "t", "label": 1})").text_pair);
}

TEST_CASE("row contents: empty answers and texts are refused") {
  require_refused(R"({"prompt": "a", "completion": ""})", {"line 1", "\"completion\" is empty"});
  require_refused(R"({"instruction": "a", "output": ""})", {"\"output\" is empty"});
  require_refused(R"({"text": ""})", {"\"text\" is empty"});
}

TEST_CASE("row contents: wrong types are refused by field and value") {
  require_refused(R"({"prompt": 5, "completion": "b"})", {"\"prompt\" must be a string, found 5"});
  require_refused(R"({"text": ["a"]})", {"\"text\" must be a string"});
  require_refused(R"({"messages": "hello"})", {"\"messages\" must be an array, found string"});
  require_refused(R"({"input_ids": 5, "labels": [5]})", {"\"input_ids\" must be an array of token ids"});
}

TEST_CASE("row contents: messages have role and content") {
  const auto chat = first_row<lora::Chat>(R"({"messages": [{"role": "user", "content": "q", "name": "x"}, )"
                                          R"({"role": "assistant", "content": ""}]})");
  REQUIRE(chat.messages.size() == 2);
  CHECK(chat.messages[0].role == "user");
  CHECK(chat.messages[0].content == "q");
  require_refused(R"({"messages": []})", {"\"messages\" is empty"});
  require_refused(R"({"messages": ["hi"]})", {"message 1", "object"});
  require_refused(R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant"}]})",
                  {"message 2", "\"content\" is missing"});
  require_refused(R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})",
                  {"message 1", "\"content\" must be a string"});
}

TEST_CASE("row contents: role and content can be mapped") {
  const ReadOptions options{{{"messages", "conversation"}, {"role", "from"}, {"content", "value"}}};
  const auto chat = first_row<lora::Chat>(R"({"conversation": [{"from": "user", "value": "q"}]})", options);
  CHECK(chat.messages.at(0).content == "q");
}

TEST_CASE("row contents: labels of ids are aligned and -100 where no loss is taken") {
  const auto row = first_row<lora::TokenSequence>(R"({"input_ids": [5, 6, 7], "labels": [-100, 6, 7]})");
  CHECK(row.ids == TokenIds{5, 6, 7});
  CHECK(row.labels == TokenIds{-100, 6, 7});
  require_refused(R"({"input_ids": [5, 6], "labels": [5]})", {"\"labels\" has 1 entries for 2 input ids"});
  require_refused(R"({"input_ids": [5, 6, 7], "labels": [6, 7, -100]})", {"entry 1 is 6", "aligned"});
}

TEST_CASE("row contents: ids are whole numbers of 32 bits, and not negative") {
  require_refused(R"({"input_ids": [], "labels": []})", {"\"input_ids\" is empty"});
  require_refused(R"({"input_ids": [-1], "label": 1})", {"holds -1"});
  require_refused(R"({"input_ids": [2147483648], "label": 1})", {"holds 2147483648"});
  require_refused(R"({"input_ids": [18446744073709551615], "label": 1})",
                  {"\"input_ids\" must be a whole number"});
  require_refused(R"({"input_ids": [1.5], "label": 1})", {"\"input_ids\" must be a whole number"});
}

TEST_CASE("row contents: padding that attention_mask marks is removed") {
  const auto row = first_row<lora::TokenSequence>(
      R"({"input_ids": [0, 5, 6, 0], "attention_mask": [0, 1, 1, 0], "labels": [-100, -100, 6, -100]})");
  CHECK(row.ids == TokenIds{5, 6});
  CHECK(row.labels == TokenIds{-100, 6});
  CHECK(
      first_row<lora::LabelledTokens>(R"({"input_ids": [5, 0], "attention_mask": [1, 0], "label": 1})").ids ==
      TokenIds{5});
  require_refused(R"({"input_ids": [5], "attention_mask": [1, 1], "label": 1})", {"2 entries for 1 ids"});
  require_refused(R"({"input_ids": [5], "attention_mask": [0], "label": 1})", {"marks every id"});
}

TEST_CASE("row contents: the answer to choices is a text, a number from 0 or a letter from A") {
  const auto right = [](const std::string& answer) {
    return first_row<lora::MultipleChoice>(
               R"({"prompt": "q", "choices": [" red", " B", " blue"], "answer": )" + answer + "}")
        .right;
  };
  CHECK(right("2") == 2);
  CHECK(right("\"blue\"") == 2);
  CHECK(right("\" red\"") == 0);
  CHECK(right("\"C\"") == 2);
  CHECK(right("\"B\"") == 1);  // the text comes before the letter; here they agree
  const auto letters =
      first_row<lora::MultipleChoice>(R"({"prompt": "q", "choices": ["C", "B", "A"], "answer": "A"})");
  CHECK(letters.right == 2);
}

TEST_CASE("row contents: choices that leave the answer open are refused") {
  const auto row = [](const std::string& choices, const std::string& answer) {
    return R"({"prompt": "q", "choices": )" + choices + R"(, "answer": )" + answer + "}";
  };
  require_refused(row(R"("ab")", "0"), {"\"choices\" must be an array of texts, found string"});
  require_refused(row(R"(["a"])", "0"), {"\"choices\" holds 1, at least 2"});
  require_refused(row(R"(["a", " "])", "0"), {"\"choices\" entry 2 is empty"});
  require_refused(row(R"(["a", "a"])", "0"), {"\"choices\" holds \"a\" twice"});
  require_refused(row(R"(["a", "b"])", "2"), {"\"answer\" is 2, but the choices are 0 to 1"});
  require_refused(row(R"(["a", "b"])", "-1"), {"\"answer\" is -1"});
  require_refused(row(R"(["a", "b"])", "\"c\""), {"\"answer\" is \"c\"", "its letter from A"});
  require_refused(row(R"(["a", 5])", "0"), {"\"choices\" must be a string"});
}
