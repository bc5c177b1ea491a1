#include "lora/tokenizer/chat.h"

#include <algorithm>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "tokenizer/component.h"
#include "tokenizer/unicode.h"
#include "tokenizer/valid_text.h"

namespace lora {
namespace {

constexpr const char* kPlace = "chat template";
constexpr const char* kSystem = "system";
constexpr const char* kAssistant = "assistant";
constexpr const char* kSystemGap = "\n\n";  ///< between a system text and the first user's, in one message

const ChatTemplate::Role& role_of(const ChatTemplate& chat, const std::string& name) {
  const auto found = chat.roles.find(name);
  if (found != chat.roles.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [role, pieces] : chat.roles) known.push_back(role);
  throw Error(ExitCode::data,
              cat("the chat template has no role \"", printable(name), "\"; it has ", join(known, ", ")));
}

/// White space for Python's str.strip, which templates use: the property and four separators.
bool is_stripped(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

std::string stripped(const std::string& text) {
  const ValidText valid(text);
  const std::string_view view = valid.view();
  std::size_t begin = view.size(), end = 0;
  for (std::size_t at = 0; at < view.size();) {
    const std::size_t before = at;
    if (is_stripped(next_char(view, at))) continue;
    begin = std::min(begin, before);
    end = at;
  }
  return std::string(begin < end ? view.substr(begin, end - begin) : "");
}

/// The messages with the contents that the template prints: stripped where their role says so, with its
/// default system message, or with the system's words, as they are, before the next message.
std::vector<ChatMessage> arranged(const ChatTemplate& chat, std::vector<ChatMessage> messages) {
  if (messages.empty()) throw Error(ExitCode::data, "a chat without messages");
  const bool starts_with_system = messages.front().role == kSystem;
  std::string before;
  if (chat.system_in_first_user && starts_with_system) {
    if (messages.size() == 1) throw Error(ExitCode::data, "a chat with nothing but a system message");
    before = messages.front().content + kSystemGap;
    messages.erase(messages.begin());
  } else if (!chat.default_system.empty() && !starts_with_system) {
    messages.insert(messages.begin(), {kSystem, chat.default_system});
  }
  for (ChatMessage& message : messages) {
    if (role_of(chat, message.role).trim) message.content = stripped(message.content);
  }
  messages.front().content.insert(0, before);
  return messages;
}

/// Collects the ids of a chat. Text between two special tokens is encoded in one go, whoever wrote its parts,
/// because tokens may reach over the seams.
class ChatEncoder {
 public:
  explicit ChatEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// A piece of the template, which may spell special tokens.
  void append_piece(std::string_view piece, bool answer) {
    for (const SpecialPart& part : tokenizer_.split_special(piece)) {
      if (!part.id) {
        append_content(part.text, answer);
        continue;
      }
      flush();
      push(*part.id, answer);
    }
  }

  void append_content(std::string_view text, bool answer) {
    if (text.empty()) return;
    if (seams_.empty() || seams_.back().answer != answer) seams_.push_back({0, answer});
    run_ += text;
    seams_.back().end = run_.size();
  }

  EncodedChat take() {
    flush();
    return std::move(out_);
  }

 private:
  /// Where a part of the run ends.
  struct Seam {
    std::size_t end;
    bool answer;
  };

  void push(std::int32_t id, bool answer) {
    out_.ids.push_back(id);
    out_.answer.push_back(answer);
  }

  TokenIds encode(std::string_view text) const {
    return out_.ids.empty() ? tokenizer_.encode(text, SpecialText::plain) : tokenizer_.encode_inside(text);
  }

  /// A token belongs to the part in which it ends: the ids before a seam are those that do not change when
  /// the text behind it is taken away.
  void flush() {
    const TokenIds ids = encode(run_);
    std::vector<std::size_t> ends;
    for (const Seam& seam : seams_) ends.push_back(seam.end < run_.size() ? kept(ids, seam.end) : ids.size());
    std::size_t done = 0;
    for (std::size_t part = 0; part < ends.size(); ++part) {
      for (; done < ends[part]; ++done) push(ids[done], seams_[part].answer);
    }
    run_.clear();
    seams_.clear();
  }

  /// How many of the run's ids stay the same if it ends at `end`.
  std::size_t kept(const TokenIds& ids, std::size_t end) const {
    const TokenIds before = encode(std::string_view(run_).substr(0, end));
    const auto differing = std::mismatch(ids.begin(), ids.end(), before.begin(), before.end()).first;
    return static_cast<std::size_t>(differing - ids.begin());
  }

  const Tokenizer& tokenizer_;
  std::string run_;
  std::vector<Seam> seams_;
  EncodedChat out_;
};

}  // namespace

ChatTemplate ChatTemplate::parse(const std::string& json) {
  const Json document = parse_json(json, {kPlace, ExitCode::file});
  const Component object(document, kPlace);
  ChatTemplate made;
  made.begin = object.text_or("begin", "");
  made.generation = object.text_or("generation", "");
  made.default_system = object.text_or("default_system", "");
  made.system_in_first_user = object.flag_or("system_in_first_user", false);
  const Component roles = object.child("roles");
  for (const auto& [name, value] : roles.json().items()) {
    const Component role = roles.child(name);
    made.roles[name] = {role.text("prefix"), role.text("suffix"), role.flag_or("trim", false)};
  }
  if (made.roles.empty()) roles.refuse("it has no roles");
  return made;
}

EncodedChat encode_chat(const ChatTemplate& chat, const std::vector<ChatMessage>& messages,
                        const Tokenizer& tokenizer, bool for_generation) {
  ChatEncoder encoder(tokenizer);
  encoder.append_piece(chat.begin, false);
  for (const ChatMessage& message : arranged(chat, messages)) {
    const ChatTemplate::Role& role = role_of(chat, message.role);
    const bool answer = message.role == kAssistant;
    encoder.append_piece(role.prefix, false);
    encoder.append_content(message.content, answer);
    encoder.append_piece(role.suffix, answer);
  }
  if (for_generation) encoder.append_piece(chat.generation, false);
  return encoder.take();
}

}  // namespace lora
