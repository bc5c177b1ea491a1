#include "lora/tokenizer/chat.h"
#include "support/catch.h"
#include "support/errors.h"
#include "tiny_tokenizers.h"

using namespace lora;
using lora::test::require_error;
using lora::test::word_tokenizer;
using Messages = std::vector<ChatMessage>;
using Answers = std::vector<bool>;

namespace {

const std::string kPieces = R"({"begin": "<s>", "generation": "<bot>", "roles": {
  "user": {"prefix": "<user>", "suffix": "."}, "assistant": {"prefix": "<bot>", "suffix": "</s>"}}})";

ChatTemplate pieces(const std::string& json = kPieces) { return ChatTemplate::parse(json); }

EncodedChat encoded(const ChatTemplate& chat, const Messages& messages, bool for_generation = false) {
  return encode_chat(chat, messages, *word_tokenizer(), for_generation);
}

}  // namespace

TEST_CASE("chat: pieces and contents in order, and which of them is an answer") {
  const EncodedChat chat = encoded(pieces(), {{"user", "hi"}, {"assistant", "hi there"}, {"user", "you"}});
  CHECK(chat.ids == TokenIds{1, 3, 5, 9, 4, 5, 6, 2, 3, 7, 9});
  CHECK(chat.answer == Answers{false, false, false, false, false, true, true, true, false, false, false});
}

TEST_CASE("chat: what precedes an answer is added for generation") {
  CHECK(encoded(pieces(), {{"user", "hi"}}, true).ids == TokenIds{1, 3, 5, 9, 4});
}

TEST_CASE("chat: content never becomes a special token") {
  const EncodedChat chat = encoded(pieces(), {{"user", "<s> <bot>"}});
  CHECK(chat.ids == TokenIds{1, 3, 10, 12, 11, 10, 14, 11, 9});
}

TEST_CASE("chat: a token that reaches over the beginning of an answer belongs to the answer") {
  ChatTemplate chat = pieces();
  chat.roles["assistant"].prefix = "<bot>hi b";
  const EncodedChat seam = encoded(chat, {{"assistant", "ot there"}});
  CHECK(seam.ids == TokenIds{1, 4, 5, 14, 6, 2});  // "bot" is one word
  CHECK(seam.answer == Answers{false, false, false, true, true, true});
}

TEST_CASE("chat: a token that reaches over the end of an answer does not belong to it") {
  ChatTemplate chat = pieces();
  chat.roles["assistant"].suffix = "";
  chat.roles["user"].prefix = "ot";
  const EncodedChat seam = encoded(chat, {{"assistant", "hi b"}, {"user", " there"}});
  CHECK(seam.ids == TokenIds{1, 4, 5, 14, 6, 9});
  CHECK(seam.answer == Answers{false, false, true, false, false, false});
}

TEST_CASE("chat: without special tokens a chat is encoded as one text") {
  const ChatTemplate chat = pieces(R"({"roles": {"user": {"prefix": "you: ", "suffix": " "},
                                       "assistant": {"prefix": "bot: ", "suffix": " "}}})");
  const EncodedChat plain = encoded(chat, {{"user", "hi"}, {"assistant", "there"}, {"user", "."}});
  CHECK(plain.ids == TokenIds{7, 8, 5, 14, 8, 6, 7, 8, 9});
  CHECK(plain.answer == Answers{false, false, false, false, false, true, false, false, false});
}

TEST_CASE("chat: white space around contents is stripped where the template does so") {
  ChatTemplate chat = pieces(R"({"roles": {"user": {"prefix": "", "suffix": "", "trim": true}}})");
  CHECK(encoded(chat, {{"user", "\u00A0 hi\n\x1F"}, {"user", " \n"}}).ids == TokenIds{5});
}

TEST_CASE("chat: system messages: a role, a default, or words before the first user's") {
  const std::string roles =
      R"("roles": {"system": {"prefix": "", "suffix": ":"}, "user": {"prefix": "<user>", "suffix": ""}})";
  const ChatTemplate with_default = pieces(R"({"default_system": "you", )" + roles + "}");
  CHECK(encoded(with_default, {{"user", "hi"}}).ids == TokenIds{7, 8, 3, 5});
  CHECK(encoded(with_default, {{"system", "there"}, {"user", "hi"}}).ids == TokenIds{6, 8, 3, 5});
  const ChatTemplate merged =
      pieces(R"({"system_in_first_user": true, "roles": {"user": {"prefix": "<user>", "suffix": ""}}})");
  CHECK(encoded(merged, {{"system", "you"}, {"user", "hi"}}).ids == TokenIds{3, 7, 5});
  require_error([&] { encoded(merged, {{"system", "you"}}); }, ExitCode::data, {"system"});
  const ChatTemplate trimmed = pieces(R"({"system_in_first_user": true, "roles": {
    "user": {"prefix": "b", "suffix": "", "trim": true}}})");
  CHECK(encoded(trimmed, {{"system", "ot"}, {"user", " hi "}}).ids == TokenIds{14, 5});
  CHECK(encoded(trimmed, {{"system", " ot"}, {"user", " hi "}}).ids ==
        TokenIds{0, 0, 5});  // "b ot": kept as it is
}

TEST_CASE("chat: an unknown role and an empty chat are data errors") {
  require_error([] { encoded(pieces(), {{"tool", "x"}}); }, ExitCode::data, {"\"tool\"", "assistant, user"});
  require_error([] { encoded(pieces(), {}); }, ExitCode::data, {"without messages"});
}

TEST_CASE("chat: malformed templates are file errors") {
  require_error([] { pieces("{"); }, ExitCode::file, {"chat template"});
  require_error([] { pieces("{}"); }, ExitCode::file, {"roles"});
  require_error([] { pieces(R"({"roles": {}})"); }, ExitCode::file, {"no roles"});
  require_error([] { pieces(R"({"roles": {"user": {"prefix": 3}}})"); }, ExitCode::file, {"prefix"});
}
