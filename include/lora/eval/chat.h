#pragma once

#include "lora/config/chat_config.h"

namespace lora {

/// The whole of `lora-eval chat`: lines of stdin are a user's messages, answered on stdout as they are
/// written, until the input ends.
int chat(const ChatConfig& config);

}  // namespace lora
