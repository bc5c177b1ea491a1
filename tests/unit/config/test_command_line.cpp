#include <cstdlib>
#include <fstream>

#include "config/command_line.h"
#include "sample_config.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace lora;
using Strings = std::vector<std::string>;

namespace {

SampleConfig parsed(const Strings& arguments) {
  SampleConfig config;
  read_command_line(arguments, options_of(config));
  return config;
}

std::string refusal(const Strings& arguments) {
  return failure_of([&] { parsed(arguments); });
}

/// A config file that is removed at the end.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) : path_((folder_ / "config.json").string()) {
    std::ofstream(path_) << text;
  }
  const std::string& path() const { return path_; }

 private:
  lora::test::TemporaryFolder folder_;
  std::string path_;
};

}  // namespace

TEST_CASE("flags: values follow a space or an equals sign, and the last one wins") {
  const SampleConfig config =
      parsed({"rows", "--rank", "4", "--rank=8", "--alpha=1e-2", "--learning-rate", "3e-5"});
  CHECK(config.input == "rows");
  CHECK(config.rank == 8);
  CHECK(config.alpha == 0.01);
  CHECK(config.learning_rate == 3e-5);
  CHECK_FALSE(config.steps);
}

TEST_CASE("flags: lists take several values, repeat, and split at commas only where declared") {
  CHECK(parsed({"--targets", "q", "v", "--input", "x"}).targets == Strings{"q", "v"});
  CHECK(parsed({"x", "--targets", "q", "--targets=v"}).targets == Strings{"q", "v"});
  CHECK(parsed({"x", "--targets", "q,v", "/a{1,2}/"}).targets == Strings{"q", "v", "/a{1,2}/"});
  CHECK(parsed({"x", "--words", "yes, sir", "[a,b]", "{}", ""}).words ==
        Strings{"yes, sir", "[a,b]", "{}", ""});
  CHECK(parsed({"x", "--words=[a]"}).words == Strings{"[a]"});
}

TEST_CASE("flags: a positional list takes all words, before and after other flags") {
  struct {
    Strings folders;
    bool json = false;
    void visit(OptionTable& v) {
      v("folders", folders, "what to combine", Positional{}, Required{});
      v("json", json, "as JSON");
    }
  } config;
  read_command_line({"a:1", "b,c:-0.5", "--json", "d"}, options_of(config));
  CHECK(config.folders == Strings{"a:1", "b,c:-0.5", "d"});
  CHECK(config.json);
  CHECK(failure_of([&] { read_command_line({"--json"}, options_of(config = {})); }) ==
        "2: --folders is missing: what to combine");
}

TEST_CASE("flags: yes/no options have three forms") {
  CHECK_FALSE(parsed({"x", "--no-bucket"}).bucket);
  CHECK_FALSE(parsed({"x", "--bucket=false"}).bucket);
  CHECK(parsed({"--list-only"}).list_only);
  CHECK(parsed({"--list-only=true", "--cache"}).cache == true);
  CHECK(parsed({"x", "--no-cache"}).cache == false);
  CHECK(refusal({"x", "--bucket=maybe"}) == "2: --bucket must be true or false, found \"maybe\"");
  CHECK(refusal({"x", "--bucket", "--no-bucket"}).find("contradict") != std::string::npos);
  CHECK(refusal({"x", "--no-bucket=false"}).find("takes no value") != std::string::npos);
}

TEST_CASE("flags: words that start with a dash follow two dashes, numbers and a lone dash do not need it") {
  CHECK(parsed({"--", "--odd"}).input == "--odd");
  CHECK(parsed({"-"}).input == "-");
  CHECK(refusal({"x", "--rank", "-1"}) == "2: --rank must be at least 1, found \"-1\"");
}

TEST_CASE("flags: values of the wrong form or range are refused") {
  const std::vector<std::pair<Strings, std::string>> cases = {
      {{"--rank", "3.9"}, "--rank must be a whole number, found \"3.9\""},
      {{"--rank", "5e9"}, "--rank must be a whole number, found \"5e9\""},
      {{"--rank", "5000000000"}, "--rank must be at most 2147483647, found \"5000000000\""},
      {{"--rank", "99999999999999999999"}, "--rank must be a whole number, found \"99999999999999999999\""},
      {{"--rank", "8 "}, "--rank must be a whole number, found \"8 \""},
      {{"--rank", "0"}, "--rank must be at least 1, found \"0\""},
      {{"--learning-rate", "nan"}, "--learning-rate must be a finite number, found \"nan\""},
      {{"--learning-rate", "1e999"}, "--learning-rate must be a finite number, found \"1e999\""},
      {{"--learning-rate", "1e-3x"}, "--learning-rate must be a finite number, found \"1e-3x\""},
      {{"--method", "lra"}, "--method must be one of lora, full, found \"lra\"; nearest: lora"},
      {{"--rank="}, "--rank must be a whole number, found \"\""},
      {{"--rank"}, "--rank needs a value: inner dimension"},
      {{"--rank", "--seed", "1"}, "--rank needs a value: inner dimension"},
      {{"--targets"}, "--targets needs a value: sites"},
      {{"--targets", ","}, "--targets needs a value: sites"}};
  for (const auto& [arguments, message] : cases) {
    Strings all = {"x"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    CHECK(refusal(all) == "2: " + message);
  }
}

TEST_CASE("flags: unknown ones and surplus words are refused, with the nearest name") {
  CHECK(refusal({"x", "--rnak", "8"}).find("unknown option --rnak; nearest: --rank") != std::string::npos);
  CHECK(refusal({"x", "--learning_rate=1"}).find("nearest: --learning-rate") != std::string::npos);
  CHECK(refusal({"x", "--no-bukcet"}).find("--no-bucket") != std::string::npos);
  CHECK(refusal({"x", "-r"}).find("unknown option -r") != std::string::npos);
  CHECK(refusal({"x", "y"}) == "2: unexpected argument \"y\"");
}

TEST_CASE("flags: a missing option is named with its help") {
  CHECK(refusal({"--rank", "8"}) == "2: --input is missing: rows");
}

TEST_CASE("config file: flags win over it, and it wins over the defaults") {
  const ConfigFile file(R"({"rank": 8, "alpha": 5, "input": "from-file", "bucket": false})");
  const SampleConfig config = parsed({"--rank", "4", "--config", file.path(), "--bucket"});
  CHECK(config.rank == 4);
  CHECK(config.alpha == 5);
  CHECK(config.input == "from-file");
  CHECK(config.bucket);
  CHECK(config.seed == 42);
}

TEST_CASE("config file: a missing one is an io error, a wrong one a usage error that names it") {
  CHECK(refusal({"x", "--config", "/no/such.json"}).starts_with("6: "));
  const ConfigFile file(R"({"rnak": 8})");
  CHECK(refusal({"x", "--config", file.path()}) ==
        "2: config \"" + file.path() + "\": unknown option \"rnak\"; nearest: rank");
}

TEST_CASE("general options: help and version need nothing else, print-config no required option") {
  SampleConfig config;
  const OptionTable options = options_of(config);
  CHECK(read_command_line({"-h"}, options).help);
  CHECK(read_command_line({"--version", "--rank", "nonsense"}, options).version);
  CHECK(read_command_line({"--print-config", "--rank", "2"}, options).print_config);
  CHECK(config.rank == 2);
  CHECK(read_command_line({"--quiet", "x"}, options).quiet);
  CHECK(failure_of([&] { read_command_line({"x", "--quiet", "--verbose"}, options); }).starts_with("2: "));
}
