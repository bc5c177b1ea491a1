// encode_lines TOKENIZER MODE [CHAT_TEMPLATE]: one JSON value a line in, one JSON value a line out.
//
//   plain, parse, inside   "text"          -> [ids]
//   special                ["a"] ["a","b"] -> {"ids", "types"}, with what the tokenizer puts around them
//   decode, decode_all     [ids]           -> "text", without and with special tokens
//   chat, prompt           [messages]      -> {"ids", "answer"}
//
// Errors go to stderr and end the program with their exit code; so does the time spent between in and out.
#include <functional>
#include <iostream>
#include <map>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/process.h"
#include "lora/tokenizer/chat.h"

namespace {

using lora::Json;
using lora::SpecialText;
using lora::TokenIds;
using Answer = std::function<Json(const Json&)>;

Answer encoder(const lora::Tokenizer& tokenizer, SpecialText special) {
  return [&tokenizer, special](const Json& text) -> Json {
    return tokenizer.encode(text.get_ref<const std::string&>(), special);
  };
}

Json with_special(const lora::Tokenizer& tokenizer, const Json& texts) {
  std::vector<TokenIds> ids;
  for (const Json& text : texts) ids.push_back(tokenizer.encode(text.get_ref<const std::string&>()));
  const auto pair = tokenizer.with_special(ids.at(0), ids.size() > 1 ? &ids[1] : nullptr);
  return {{"ids", pair.ids}, {"types", pair.types}};
}

Json chat_ids(const lora::Tokenizer& tokenizer, const std::string& chat_file, const Json& chat,
              bool for_generation) {
  std::vector<lora::ChatMessage> messages;
  for (const Json& message : chat)
    messages.push_back({message.at("role").get<std::string>(), message.at("content").get<std::string>()});
  const auto pieces = lora::ChatTemplate::parse(lora::read_file(chat_file));
  const auto encoded = lora::encode_chat(pieces, messages, tokenizer, for_generation);
  return {{"ids", encoded.ids}, {"answer", encoded.answer}};
}

void run(const std::string& path, const std::string& mode, const std::string& chat_file) {
  const auto tokenizer = lora::make_tokenizer(lora::read_tokenizer_files(path));
  const lora::Tokenizer& made = *tokenizer;
  const std::map<std::string, Answer> modes{
      {"plain", encoder(made, SpecialText::plain)},
      {"parse", encoder(made, SpecialText::parse)},
      {"inside",
       [&](const Json& text) -> Json { return made.encode_inside(text.get_ref<const std::string&>()); }},
      {"special", [&](const Json& texts) { return with_special(made, texts); }},
      {"decode", [&](const Json& ids) -> Json { return made.decode(ids.get<TokenIds>(), true); }},
      {"decode_all", [&](const Json& ids) -> Json { return made.decode(ids.get<TokenIds>(), false); }},
      {"chat", [&](const Json& chat) { return chat_ids(made, chat_file, chat, false); }},
      {"prompt", [&](const Json& chat) { return chat_ids(made, chat_file, chat, true); }},
  };
  const Answer& answer = modes.at(mode);
  double seconds = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const Json question = Json::parse(line);
    const double start = lora::monotonic_seconds();
    const Json answered = answer(question);
    seconds += lora::monotonic_seconds() - start;
    std::cout << answered.dump() << '\n';
  }
  std::cerr << "seconds " << seconds << '\n';
}

}  // namespace

int main(int count, char** arguments) {
  try {
    std::ios::sync_with_stdio(false);
    run(arguments[1], arguments[2], count > 3 ? arguments[3] : "");
    return 0;
  } catch (const lora::Error& error) {
    std::cerr << error.what() << '\n' << error.hint() << '\n';
    return static_cast<int>(error.code());
  }
}
