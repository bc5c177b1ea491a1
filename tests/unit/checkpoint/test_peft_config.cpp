#include "checkpoint/peft_config.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;
using namespace lora::test;

namespace {

const JsonOrigin kOrigin{"adapter_config.json", ExitCode::file};

PeftConfig parse(const std::string& text) { return parse_peft_config(Json::parse(text), kOrigin); }

void require_refused(const std::string& text, std::initializer_list<std::string> parts) {
  require_error([&] { parse(text); }, ExitCode::file, parts);
}

}  // namespace

TEST_CASE("peft config: keys that are left out have PEFT's defaults") {
  const PeftConfig config = parse(R"({"peft_type": "LORA"})");
  CHECK(config.defaults.rank == 8);
  CHECK(config.defaults.alpha == 8);
  CHECK(config.defaults.dropout == 0);
  CHECK_FALSE(config.defaults.rank_stabilised);
  CHECK(config.target_modules.empty());
}

TEST_CASE("peft config: everything that PEFT 0.21 writes by default is read") {
  const PeftConfig config = parse(R"({
    "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null, "auto_mapping": null,
    "base_model_name_or_path": "x", "bias": "none", "corda_config": null, "ensure_weight_tying": false,
    "eva_config": null, "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
    "init_lora_weights": true, "kasa_config": null, "layer_replication": null, "layers_pattern": null,
    "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 32, "lora_bias": false,
    "lora_dropout": 0.05,
    "lora_ga_config": null, "megatron_config": null, "megatron_core": "megatron.core",
    "modules_to_save": null,
    "monteclora_config": null, "peft_type": "LORA", "peft_version": "0.21.2", "qalora_group_size": 16,
    "r": 16,
    "rank_pattern": {}, "revision": null, "target_modules": ["v_proj", "q_proj"], "target_parameters": null,
    "task_type": "CAUSAL_LM", "trainable_token_indices": null, "use_bdlora": null, "use_dora": false,
    "use_qalora": false, "use_rslora": true, "velora_config": null})");
  CHECK(config.defaults.rank == 16);
  CHECK(config.defaults.scale() == 8);
  CHECK(config.defaults.dropout == 0.05);
  CHECK(config.task_type == "CAUSAL_LM");
  CHECK_FALSE(config.narrowed);
}

TEST_CASE("peft config: every feature that is on and not supported is named") {
  require_refused(
      R"({"peft_type": "LORA", "use_qalora": true, "lora_bias": true, "target_parameters": ["w"], "of_the_future": 1})",
      {"use_qalora (factors over pooled inputs)", "lora_bias (a bias of the update has no place",
       "target_parameters (", "of_the_future"});
  require_refused(R"({"peft_type": "IA3"})", {"peft_type IA3"});
  require_refused(R"({"peft_type": "LORA", "init_lora_weights": "pissa_niter_4"})",
                  {"pissa_niter_4", "base's weights"});
  require_refused(R"({"peft_type": "LORA", "layer_replication": [[0, 4]]})", {"layer_replication"});
  CHECK(parse(R"({"peft_type": "LORA", "init_lora_weights": "gaussian", "of_the_future": null})")
            .defaults.rank == 8);
}

TEST_CASE("peft config: DoRA, biases and token rows are read") {
  const PeftConfig config = parse(R"({"peft_type": "LORA", "use_dora": true, "bias": "lora_only",
    "trainable_token_indices": {"wte": [7, 3]}})");
  CHECK(config.defaults.method == "dora");
  CHECK(config.bias == "lora_only");
  REQUIRE(config.token_ids("transformer.wte"));
  CHECK(*config.token_ids("transformer.wte") == std::vector<std::int64_t>{7, 3});
  CHECK_FALSE(config.token_ids("transformer.xwte"));
  CHECK(*parse(R"({"peft_type": "LORA", "trainable_token_indices": [1]})").token_ids("anything") ==
        std::vector<std::int64_t>{1});
}

TEST_CASE("peft config: wrong types and values are file errors that name the key") {
  require_refused("[]", {"no JSON object"});
  require_refused("{}", {"\"peft_type\" is missing"});
  require_refused(R"({"peft_type": "LORA", "bias": "some"})", {"\"bias\" is \"some\""});
  require_refused(R"({"peft_type": "LORA", "trainable_token_indices": 3})",
                  {"trainable_token_indices", "array"});
  require_refused(R"({"peft_type": "LORA", "trainable_token_indices": [0.5]})", {"trainable_token_indices"});
  require_refused(R"({"peft_type": "LORA", "r": 8.5})", {"\"r\" must be a whole number"});
  require_refused(R"({"peft_type": "LORA", "r": 0})", {"rank \"r\" is 0"});
  require_refused(R"({"peft_type": "LORA", "lora_alpha": "16"})", {"\"lora_alpha\" must be a number"});
  require_refused(R"({"peft_type": "LORA", "target_modules": [1]})", {"\"target_modules\" must be a string"});
  require_refused(R"({"peft_type": "LORA", "rank_pattern": [1]})", {"\"rank_pattern\" must be an object"});
}

TEST_CASE("peft config: the first pattern that matches the end of a path counts") {
  const PeftConfig config = parse(R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8,
    "rank_pattern": {"layers\\.[01]\\.q": 16, "q": 2, "v": 3}, "alpha_pattern": {"^model.layers.5.v": 1}})");
  CHECK(config.of("model.layers.0.q").rank == 16);
  CHECK(config.of("model.layers.2.q").rank == 2);
  CHECK(config.of("model.layers.2.v").rank == 3);
  CHECK(config.of("model.layers.2.mlp.uv").rank == 4);
  CHECK(config.of("model.layers.2.v.inner").rank == 4);
  CHECK(config.of("model.layers.5.v").alpha == 1);
  CHECK(config.of("model.layers.6.v").alpha == 8);
}

TEST_CASE("peft config: a pattern that is no regular expression is a file error") {
  const PeftConfig config = parse(R"({"peft_type": "LORA", "rank_pattern": {"q(": 2}})");
  require_error([&] { config.of("q"); }, ExitCode::file, {"q(", "regular expression"});
}

TEST_CASE("peft config: target lists match whole trailing segments, strings whole paths") {
  const PeftConfig list = parse(R"({"peft_type": "LORA", "target_modules": ["q_proj", "mlp.up"]})");
  CHECK(is_targeted(list, "model.layers.0.self_attn.q_proj"));
  CHECK(is_targeted(list, "q_proj"));
  CHECK(is_targeted(list, "layers.0.mlp.up"));
  CHECK_FALSE(is_targeted(list, "layers.0.up"));
  CHECK_FALSE(is_targeted(list, "layers.0.xq_proj"));
  const PeftConfig pattern = parse(R"({"peft_type": "LORA", "target_modules": ".*\\.(q|v)_proj"})");
  CHECK(is_targeted(pattern, "model.v_proj"));
  CHECK_FALSE(is_targeted(pattern, "model.v_proj.x"));
}
