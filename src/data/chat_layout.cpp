#include "data/chat_layout.h"

#include <algorithm>
#include <utility>

namespace lora {

const ChatTemplate& plain_chat() {
  static const ChatTemplate layout = [] {
    ChatTemplate plain;
    plain.roles = {{"system", {"System:", "\n"}},
                   {"user", {"User:", "\n"}},
                   {"assistant", {"Assistant:", "\n"}},
                   {"tool", {"Tool:", "\n"}}};
    plain.generation = plain.roles.at("assistant").prefix;
    return plain;
  }();
  return layout;
}

std::vector<ChatMessage> spaced(std::vector<ChatMessage> messages) {
  for (ChatMessage& message : messages) message.content.insert(0, 1, ' ');
  return messages;
}

std::vector<ChatMessage> as_chat(const Instruction& row) {
  return {{"user", row.input.empty() ? row.instruction : row.instruction + "\n\n" + row.input},
          {"assistant", row.output}};
}

PromptCompletion as_plain_prompt(const Instruction& row) {
  std::string prompt = "### Instruction:\n" + row.instruction + "\n\n";
  if (!row.input.empty()) prompt += "### Input:\n" + row.input + "\n\n";
  return {prompt + "### Response:\n", row.output};
}

bool drop_oldest_exchange(std::vector<ChatMessage>& messages) {
  const auto has_role = [](const char* role) {
    return [role](const ChatMessage& m) { return m.role == role; };
  };
  const auto begin = std::find_if_not(messages.begin(), messages.end(), has_role("system"));
  if (begin == messages.end()) return false;
  const auto end = std::find_if(begin + 1, messages.end(), has_role("user"));
  if (std::none_of(end, messages.end(), has_role("assistant"))) return false;
  messages.erase(begin, end);
  return true;
}

}  // namespace lora
