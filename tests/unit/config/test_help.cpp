#include <algorithm>

#include "config/help.h"
#include "config/values.h"
#include "lora/base/text.h"
#include "lora/config/bake_config.h"
#include "lora/config/combine_config.h"
#include "lora/config/convert_config.h"
#include "lora/config/diff_config.h"
#include "lora/config/eval_config.h"
#include "lora/config/extract_config.h"
#include "lora/config/chat_config.h"
#include "lora/config/generate_config.h"
#include "lora/config/score_config.h"
#include "lora/config/inspect_config.h"
#include "lora/config/resize_config.h"
#include "lora/config/restore_config.h"
#include "lora/config/train_config.h"
#include "lora/config/verify_config.h"
#include "sample_config.h"
#include "support/catch.h"

using namespace lora;

namespace {

const CommandInfo kInfo{"lora-sample", "Shows how help looks.", {"lora-sample rows --rank 8"}};

/// The lines of one option, joined by single spaces.
std::string entry(const std::string& help, const std::string& head) {
  std::size_t begin = help.find(cat("\n  ", head));
  // Not the beginning of a longer name.
  while (begin != std::string::npos &&
         std::string(" \n").find(help[begin + 3 + head.size()]) == std::string::npos)
    begin = help.find(cat("\n  ", head), begin + 1);
  REQUIRE(begin != std::string::npos);
  std::string text;
  for (const std::string& line : split(help.substr(begin + 1), '\n')) {
    if (!text.empty() && !line.starts_with("      ")) break;
    text += cat(text.empty() ? "" : " ", trim(line));
  }
  return text;
}

template <class Config>
void check_help_is_complete(std::size_t width) {
  Config config;
  const OptionTable options = options_of(config);
  const std::string help = help_text(kInfo, options, width);
  for (const Option& option : options.options()) {
    INFO(option.name);
    const std::string head = option.positional                   ? option.placeholder
                             : option.get() == OptionValue(true) ? "--[no-]" + option.flag().substr(2)
                                                                 : option.flag();
    const std::string text = entry(help, head);
    const std::string standard = value_text(option.get());
    if (option.kind != OptionKind::flag && !standard.empty()) {
      CHECK(text.find("default: " + standard) != std::string::npos);
    }
    for (const std::string& word : option.words) CHECK(text.find(word) != std::string::npos);
    if (option.required) CHECK(text.find("required") != std::string::npos);
    if (option.rule) CHECK(text.find(option.rule->text) != std::string::npos);
  }
  for (const std::string& line : split(help, '\n')) {
    INFO(line);
    CHECK(line.size() <= width);
  }
}

}  // namespace

TEST_CASE("wrap: lines break between words and never exceed the width") {
  CHECK(wrap("one two three", 7, 2) == "one two\n  three");
  CHECK(wrap("unbreakable", 4, 2) == "unbreakable");
  CHECK(wrap("", 10, 2).empty());
}

TEST_CASE("usage: required options are in it") {
  SampleConfig config;
  CHECK(usage_line(kInfo, options_of(config)) == "usage: lora-sample FILE [options]\n");
  TrainConfig train;
  CHECK(usage_line({"lora-train", "", {}}, options_of(train)) ==
        "usage: lora-train --model FILE --data FILE --out DIR [options]\n");
}

TEST_CASE("short usage: shows an example and the way to the help") {
  SampleConfig config;
  CHECK(short_usage(kInfo, options_of(config)) ==
        "usage: lora-sample FILE [options]\nexample: lora-sample rows --rank 8\nlora-sample --help explains "
        "every "
        "option\n");
}

TEST_CASE("help: an option shows its value's form, its rule and the default of the struct") {
  SampleConfig config;
  const std::string help = help_text(kInfo, options_of(config), 100);
  CHECK(entry(help, "--rank") == "--rank N                  inner dimension [at least 1; default: 16]");
  CHECK(entry(help, "--[no-]bucket") == "--[no-]bucket             similar lengths together [default: on]");
  CHECK(entry(help, "--list-only") == "--list-only               list and stop");
  CHECK(entry(help, "FILE") == "FILE                      rows [required unless --list-only]");
  CHECK(entry(help, "--method") == "--method lora|full        what is trained [default: lora]");
  CHECK(entry(help, "--targets") == "--targets NAME ...        sites [default: qv]");
  CHECK(entry(help, "--steps") == "--steps N                 updates [at least 1]");
  CHECK(entry(help, "-h, --help").find("print this help") != std::string::npos);
  config.rank = 5;
  CHECK(entry(help_text(kInfo, options_of(config), 100), "--rank").find("default: 5") != std::string::npos);
}

TEST_CASE("help: a long example is continued between options") {
  SampleConfig config;
  const std::string example =
      "lora-sample rows --learning-rate 0.001 --rank 8 --note abcdefghijklmnop --alpha 3";
  const std::string help = help_text({"lora-sample", "Helps.", {example}}, options_of(config), 80);
  CHECK(help.find("  lora-sample rows --learning-rate 0.001 --rank 8 --note abcdefghijklmnop \\\n"
                  "      --alpha 3\n") != std::string::npos);
}

TEST_CASE("help: every option of every program is there with its default, within the columns") {
  for (const std::size_t width : {80, 100}) {
    check_help_is_complete<TrainConfig>(width);
    check_help_is_complete<CompareConfig>(width);
    check_help_is_complete<GenerateConfig>(width);
    check_help_is_complete<ChatConfig>(width);
    check_help_is_complete<ScoreConfig>(width);
    check_help_is_complete<BakeConfig>(width);
    check_help_is_complete<CombineConfig>(width);
    check_help_is_complete<ExtractConfig>(width);
    check_help_is_complete<ResizeConfig>(width);
    check_help_is_complete<InspectConfig>(width);
    check_help_is_complete<ConvertConfig>(width);
    check_help_is_complete<VerifyConfig>(width);
    check_help_is_complete<RestoreConfig>(width);
    check_help_is_complete<DiffConfig>(width);
  }
}
