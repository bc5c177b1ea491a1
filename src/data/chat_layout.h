#pragma once

#include <vector>

#include "lora/data/example.h"
#include "lora/tokenizer/chat.h"

namespace lora {

/// The layout of chats for models without a chat template: "User: text" and "Assistant: text" lines.
const ChatTemplate& plain_chat();

/// Messages as plain_chat wants them: each content behind one space.
std::vector<ChatMessage> spaced(std::vector<ChatMessage> messages);

/// An instruction as a user's message (instruction and input with an empty line between) and its answer.
std::vector<ChatMessage> as_chat(const Instruction& row);

/// An instruction for models without a chat template, under the headings of the Alpaca data.
PromptCompletion as_plain_prompt(const Instruction& row);

/// Removes the first messages that are no system message, up to the next user message. False, and nothing
/// done, if no assistant message would be left.
bool drop_oldest_exchange(std::vector<ChatMessage>& messages);

}  // namespace lora
