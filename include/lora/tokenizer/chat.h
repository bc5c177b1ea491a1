#pragma once

#include <map>
#include <string>
#include <vector>

#include "lora/tokenizer/tokenizer.h"

namespace lora {

struct ChatMessage {
  std::string role;  ///< system, user, assistant (or another role that the template knows)
  std::string content;
};

/// A chat template reduced to fixed pieces: text = begin + sum over messages of prefix(role) + content +
/// suffix(role); `generation` follows when an answer is to be generated. The exporter proves the reduction
/// against the real template. Pieces may spell special tokens; content never becomes one.
struct ChatTemplate {
  struct Role {
    std::string prefix, suffix;
    bool trim = false;  ///< strip white space around the content, as some templates do
  };
  std::string begin;  ///< usually bos, or empty
  std::map<std::string, Role> roles;
  std::string generation;      ///< what precedes an answer; equals assistant's prefix
  std::string default_system;  ///< system message added when a chat starts with another role; may be empty
  bool system_in_first_user = false;  ///< Gemma: system text + "\n\n" is put before the first user's content

  /// From the JSON object that export_model.py writes (`chat` in lora_meta.json); file error if malformed.
  static ChatTemplate parse(const std::string& json);
};

/// Ids of a chat and, for each id, whether it belongs to an assistant's answer (content and suffix).
struct EncodedChat {
  TokenIds ids;
  std::vector<bool> answer;
};

/// Data error for an unknown role or a chat without messages.
EncodedChat encode_chat(const ChatTemplate& chat, const std::vector<ChatMessage>& messages,
                        const Tokenizer& tokenizer, bool for_generation = false);

}  // namespace lora
