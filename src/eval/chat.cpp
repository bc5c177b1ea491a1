#include "lora/eval/chat.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "eval/prompts.h"
#include "eval/text_stream.h"
#include "eval/writer.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/config/check.h"

namespace lora {
namespace {

constexpr const char* kHelp =
    "/reset        forget what was said\n"
    "/adapter NAME switch to this adapter; without a name, to the base\n"
    "/quit         end\n";

/// A conversation. What the model has seen of it stays in its cache.
class Conversation {
 public:
  Conversation(const ChatConfig& config, Writer& writer) : config_(config), writer_(writer) {
    const auto names = writer_.adapters().names();
    use(names.empty() ? "" : names[0]);
    reset();
  }

  void reset() {
    messages_.clear();
    if (!config_.system.empty()) messages_.push_back({"system", config_.system});
    forget();
  }

  /// Answers given under another adapter stay; what the model computed of them does not.
  void use(const std::string& adapter) {
    writer_.adapters().use(adapter);
    adapter_ = adapter;
    forget();
  }

  void answer(const std::string& line) {
    messages_.push_back({"user", line});
    GeneratedRow row;
    row.ids = encode_prompt({"", messages_, {}}, writer_.model());
    row.prompt = row.ids.size();
    row.number = messages_.size();
    row.writer = AdapterSet::described(adapter_);
    const bool goes_on =
        seen_.size() < row.ids.size() && std::equal(seen_.begin(), seen_.end(), row.ids.begin());
    if (!goes_on) forget();
    row.fed = seen_.size();
    if (writer_.options().room(row) <= 0) {
      messages_.pop_back();
      throw Error(ExitCode::usage,
                  cat("the conversation has ", row.ids.size(), " tokens, the model can have ",
                      writer_.options().context_length),
                  "/reset starts a new one");
    }
    TextStream stream(writer_, std::cout);
    std::vector<GeneratedRow> rows{row};
    generate_rows(*feed_, rows, writer_.options(),
                  [&](const GeneratedRow& each) { stream.update(each.answer()); });
    stream.finish(rows[0].answer());
    seen_.assign(rows[0].ids.begin(), rows[0].ids.begin() + static_cast<std::ptrdiff_t>(rows[0].fed));
    const std::string text = writer_.text(rows[0].answer());
    messages_.push_back({"assistant", writer_.model().chat ? text : std::string(trim(text))});
  }

 private:
  void forget() {
    feed_ = writer_.feed();
    seen_.clear();
  }

  const ChatConfig& config_;
  Writer& writer_;
  std::string adapter_;  ///< in use
  std::vector<ChatMessage> messages_;
  std::unique_ptr<RowFeed> feed_;
  TokenIds seen_;  ///< what feed_ has had
};

/// False if the line ends the conversation.
bool obey(const std::string& line, Conversation& conversation) {
  if (line == "/quit") return false;
  if (line == "/reset") {
    conversation.reset();
  } else if (line == "/adapter" || line.starts_with("/adapter ")) {
    conversation.use(std::string(trim(line.substr(std::string_view("/adapter").size()))));
  } else {
    std::cerr << kHelp;
  }
  return true;
}

}  // namespace

int chat(const ChatConfig& config) {
  check_config(config);
  use_threads(config.model.threads);
  Writer writer(config.model, config.adapters, config.sampling, /*recompute=*/false);
  if (!writer.model().chat) writer.stop_at("\nUser:");  // what follows an answer where there is no template
  Conversation conversation(config, writer);
  const bool is_terminal = ::isatty(STDIN_FILENO) != 0;
  if (is_terminal) std::cerr << "/help lists the commands; Ctrl-D ends\n";
  std::string line;
  while ((!is_terminal || std::cerr << "> ") && std::getline(std::cin, line)) {
    line = trim(line);
    if (line.empty()) continue;
    try {
      if (!line.starts_with("/"))
        conversation.answer(line);
      else if (!obey(line, conversation))
        break;
    } catch (const Error& error) {
      if (!is_terminal || error.code() != ExitCode::usage) throw;
      std::cerr << error.what() << "\n";
    }
  }
  return 0;
}

}  // namespace lora
