#include "data/chat_layout.h"
#include "support/catch.h"

using lora::as_chat;
using lora::as_plain_prompt;
using lora::ChatMessage;
using lora::drop_oldest_exchange;
using Messages = std::vector<ChatMessage>;

namespace {

std::string roles_of(const Messages& messages) {
  std::string roles;
  for (const ChatMessage& message : messages) roles += message.role.substr(0, 1) + message.content;
  return roles;
}

}  // namespace

TEST_CASE("chat layout: instruction and input become a user's message") {
  const auto chat = as_chat({"do", "this", "done"});
  REQUIRE(chat.size() == 2);
  CHECK(chat[0].role == "user");
  CHECK(chat[0].content == "do\n\nthis");
  CHECK(chat[1].role == "assistant");
  CHECK(chat[1].content == "done");
  CHECK(as_chat({"do", "", "done"})[0].content == "do");
}

TEST_CASE("chat layout: without a template instructions stand under headings") {
  const auto row = as_plain_prompt({"do", "this", "done"});
  CHECK(row.prompt == "### Instruction:\ndo\n\n### Input:\nthis\n\n### Response:\n");
  CHECK(row.completion == "done");
  CHECK(as_plain_prompt({"do", "", "done"}).prompt == "### Instruction:\ndo\n\n### Response:\n");
}

TEST_CASE("chat layout: the oldest exchange goes, the system message and the last answer stay") {
  Messages messages = {{"system", ""}, {"user", "1"}, {"assistant", "1"}, {"user", "2"}, {"assistant", "2"}};
  REQUIRE(drop_oldest_exchange(messages));
  CHECK(roles_of(messages) == "su2a2");
  CHECK(!drop_oldest_exchange(messages));
  CHECK(roles_of(messages) == "su2a2");
}

TEST_CASE("chat layout: an exchange is not dropped if no answer would be left") {
  Messages messages = {{"user", "1"}, {"assistant", "1"}, {"user", "2"}};
  CHECK(!drop_oldest_exchange(messages));
  CHECK(messages.size() == 3);
  Messages system = {{"system", ""}};
  CHECK(!drop_oldest_exchange(system));
}

TEST_CASE("chat layout: tool messages go with their exchange") {
  Messages messages = {{"user", "1"},      {"assistant", "1"}, {"tool", "1"},
                       {"assistant", "3"}, {"user", "2"},      {"assistant", "2"}};
  REQUIRE(drop_oldest_exchange(messages));
  CHECK(roles_of(messages) == "u2a2");
}
