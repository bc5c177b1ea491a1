#include "lora/config/bake_config.h"
#include "lora/config/combine_config.h"
#include "lora/config/config_json.h"
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

std::string read(SampleConfig& config, const std::string& json) {
  return failure_of([&] { read_json_text(options_of(config), json, "config"); });
}

std::string refusal(const std::string& json) {
  SampleConfig config;
  return read(config, json);
}

template <class Config>
void check_round_trip(const Config& config) {
  const std::string json = config_json(config);
  Config again;
  read_json_text(options_of(again), json, "config");
  CHECK(config_json(again) == json);
}

}  // namespace

TEST_CASE("config json: named options are set, others stay") {
  SampleConfig config;
  CHECK(read(config, R"({"rank": 8, "alpha": 16, "targets": ["q", "v"], "bucket": false, "note": "n",
                         "steps": 5, "learning_rate": 1e-3, "cache": true})")
            .empty());
  CHECK(config.rank == 8);
  CHECK(config.alpha == 16);
  CHECK(config.targets == std::vector<std::string>{"q", "v"});
  CHECK_FALSE(config.bucket);
  CHECK(config.note == "n");
  CHECK(config.steps == 5);
  CHECK(config.learning_rate == 1e-3);
  CHECK(config.cache == true);
  CHECK(config.seed == 42);
}

TEST_CASE("config json: null unsets an optional option and is refused elsewhere") {
  SampleConfig config;
  config.steps = 5;
  CHECK(read(config, R"({"steps": null})").empty());
  CHECK_FALSE(config.steps);
  CHECK(refusal(R"({"rank": null})").find("\"rank\" must be a whole number") != std::string::npos);
}

TEST_CASE("config json: what is written reads back to the same text") {
  SampleConfig config;
  check_round_trip(config);
  config = {"in put \"x\"", "full", {},  {" a", "[b,c]", ""}, 1, 0, 1.0 / 3, 1e-8, 9, 5e-324, "",
            false,          false,  true};
  check_round_trip(config);
}

TEST_CASE("config json: the programs' own options read back, defaults and changed") {
  TrainConfig train;
  check_round_trip(train);
  train.steps = 100;
  train.learning_rate = 3e-5;
  train.bucket = false;
  train.data.fields = {"prompt=q", "completion=a"};
  check_round_trip(train);
  check_round_trip(CompareConfig());
  check_round_trip(GenerateConfig());
  check_round_trip(ChatConfig());
  check_round_trip(ScoreConfig());
  check_round_trip(BakeConfig());
  check_round_trip(CombineConfig());
  check_round_trip(ExtractConfig());
  check_round_trip(ResizeConfig());
  check_round_trip(InspectConfig());
  check_round_trip(ConvertConfig());
  check_round_trip(VerifyConfig());
  check_round_trip(RestoreConfig());
  check_round_trip(DiffConfig());
}

TEST_CASE("config json: the options inside a run's record are read") {
  SampleConfig config;
  CHECK(read(config, R"({"options": {"rank": 3}, "lora": "0.1.0"})").empty());
  CHECK(config.rank == 3);
  CHECK(refusal(R"({"options": 3})") == "2: config: options must be one JSON object");
}

TEST_CASE("config json: an unknown key names the nearest") {
  CHECK(refusal(R"({"rnak": 8})") == "2: config: unknown option \"rnak\"; nearest: rank");
  CHECK(refusal(R"({"learning-rate": 1})").find("nearest: learning_rate") != std::string::npos);
  CHECK(refusal(R"({"zzzzzzzz": 1})") == "2: config: unknown option \"zzzzzzzz\"");
}

TEST_CASE("config json: every problem is listed at once") {
  const std::string failure = refusal(R"({"rnak": 8, "alpha": -1, "method": 5})");
  for (const char* part :
       {"rnak", "\"alpha\" must be above 0, found -1", "\"method\" must be a string, found 5"}) {
    CHECK(failure.find(part) != std::string::npos);
  }
}

TEST_CASE("config json: values of the wrong type or range are refused by name") {
  for (const char* json : {R"({"rank": -1})",
                           R"({"rank": 0})",
                           R"({"rank": 5e9})",
                           R"({"rank": 5000000000})",
                           R"({"rank": 3.9})",
                           R"({"rank": 1e400})",
                           R"({"rank": 99999999999999999999})",
                           R"({"rank": "8"})",
                           R"({"rank": true})",
                           R"({"steps": 0})",
                           R"({"steps": 2.0})",
                           R"({"learning_rate": "1e-3"})",
                           R"({"learning_rate": NaN})",
                           R"({"learning_rate": 0})",
                           R"({"dropout": 1})",
                           R"({"bucket": 1})",
                           R"({"bucket": "true"})",
                           R"({"targets": "qv"})",
                           R"({"targets": [1]})",
                           R"({"targets": null})",
                           R"({"method": "lra"})",
                           R"({"note": 1})",
                           R"({"cache": "yes"})"}) {
    INFO(json);
    CHECK(refusal(json).starts_with("2: config: "));
  }
}

TEST_CASE("config json: text that is no single object is refused") {
  for (const char* json : {"", "[1]", "3", "{", R"({"rank": 1} {})", R"({"rank": 1, "rank": 2})"}) {
    INFO(json);
    CHECK(refusal(json).starts_with("2: config: "));
  }
  CHECK(refusal(R"({"rank": 1, "rank": 2})").find("occurs twice") != std::string::npos);
}
