#include "eval/comparison.h"
#include "support/catch.h"

namespace {

lora::Comparison sample() {
  lora::Comparison comparison;
  comparison.model_path = "m.pt";
  comparison.data_path = "test.jsonl";
  comparison.cpu = "Some CPU";
  comparison.torch_version = "2.13.0";
  comparison.threads = 2;
  comparison.total_parameters = 1000000;
  comparison.rows = 50;
  comparison.labelled = 100;
  comparison.latency_rows = 8;
  comparison.latency_tokens = 40;
  lora::VariantResult base;
  base.name = "base";
  base.kind = "base";
  base.quality.loss = 1.5;
  base.trainable_parameters = 0;
  base.file_bytes = 4 << 20;
  lora::VariantResult run = base;
  run.name = "full";
  run.kind = "run";
  run.quality.accuracy = 0.875;
  run.trainable_parameters = 5000;
  run.training.emplace();
  run.training->train_seconds = 75.2;
  run.training->peak_bytes = 1 << 30;
  run.latency = lora::Latency{12.34, 11, 15, 5};
  run.interleaved = false;
  comparison.variants = {base, run};
  return comparison;
}

}  // namespace

TEST_CASE("comparison: the table shows what is known and a dash for the rest") {
  const std::string table = comparison_table(sample());
  CHECK(table.find("1.5000") != std::string::npos);
  CHECK(table.find("0.875") != std::string::npos);
  CHECK(table.find("0.50 %") != std::string::npos);
  CHECK(table.find("1m15s") != std::string::npos);
  CHECK(table.find("12.3*") != std::string::npos);
  CHECK(table.find("* timed alone") != std::string::npos);
  CHECK(table.find("50 rows, 100 labelled") != std::string::npos);
  CHECK(table.find("Some CPU, 2 threads") != std::string::npos);
}

TEST_CASE("comparison: JSON keeps full precision and null for unknown numbers") {
  const lora::Json json = comparison_json(sample());
  CHECK(json["variants"][0]["accuracy"].is_null());
  CHECK(json["variants"][0]["latency"].is_null());
  CHECK(json["variants"][0]["training"].is_null());
  CHECK(json["variants"][1]["trainable_share"] == 0.005);
  CHECK(json["variants"][1]["latency"]["median_ms"] == 12.34);
  CHECK(json["variants"][1]["training"]["seconds"] == 75.2);
  CHECK(json["data"]["labelled"] == 100);
}
