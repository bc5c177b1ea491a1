#include "data/row_shape.h"
#include "data_text.h"
#include "support/errors.h"

using lora::ExitCode;
using lora::FieldNames;
using lora::Json;
using lora::ReadOptions;
using lora::test::error_of;
using lora::test::read_text;
using lora::test::require_error;

namespace {

std::string shape_name(const Json& row) {
  const FieldNames names({}, lora::standard_fields());
  const lora::JsonOrigin origin{"f line 1", ExitCode::data};
  return lora::shape_of(lora::RowFields(row, names, origin)).name();
}

}  // namespace

TEST_CASE("row shapes: each is known by its fields") {
  CHECK(shape_name({{"text", ""}}) == "text");
  CHECK(shape_name({{"prompt", ""}, {"completion", ""}}) == "prompt, completion");
  CHECK(shape_name({{"text", ""}, {"label", ""}}) == "text, label[, text_pair]");
  CHECK(shape_name({{"messages", ""}}) == "messages");
  CHECK(shape_name({{"instruction", ""}, {"output", ""}}) == "instruction, output[, input]");
  CHECK(shape_name({{"input_ids", ""}, {"labels", ""}}) == "input_ids, labels[, attention_mask]");
  CHECK(shape_name({{"input_ids", ""}, {"label", ""}}) == "input_ids, label[, attention_mask]");
}

TEST_CASE("row shapes: the specific shape wins over text that stands beside it") {
  CHECK(shape_name({{"text", ""}, {"instruction", ""}, {"input", ""}, {"output", ""}}) ==
        "instruction, output[, input]");
  CHECK(shape_name({{"text", ""}, {"prompt", ""}, {"completion", ""}}) == "prompt, completion");
}

TEST_CASE("row shapes: an unknown one lists its fields, all shapes and near names") {
  const auto read = [] { read_text(R"({"promt": "a", "completion": "b", "z": null})"); };
  require_error(read, ExitCode::data,
                {"rows.json line 1", "unknown row shape", "promt, completion, z (null)"});
  const std::string hint = error_of(read).hint();
  for (const auto& shape : lora::row_shapes())
    CHECK(hint.find("{" + shape.name() + "}") != std::string::npos);
  CHECK(hint.find("did you mean prompt for promt?") != std::string::npos);
  CHECK(hint.find("--fields") != std::string::npos);
}

TEST_CASE("row shapes: a mapped name that a row lacks is named") {
  require_error(
      [] { read_text(R"({"prompt": "a", "completion": "b"})", ReadOptions{{{"prompt", "question"}}}); },
      ExitCode::data, {"--fields maps prompt to \"question\", which it lacks"});
}

TEST_CASE("row shapes: an empty object has no fields") {
  require_error([] { read_text("{}"); }, ExitCode::data, {"the fields are none"});
}
