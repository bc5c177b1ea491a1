#include "data/row_fields.h"
#include "support/errors.h"

using lora::ExitCode;
using lora::FieldNames;
using lora::Json;
using lora::JsonOrigin;
using lora::RowFields;
using lora::test::error_of;
using lora::test::require_error;

namespace {

const std::vector<std::string> kStandard = {"completion", "prompt", "text"};
const JsonOrigin kOrigin{"f line 1", ExitCode::data};

}  // namespace

TEST_CASE("field names: a mapped field is found under its name in the file only") {
  const FieldNames names({{"prompt", "question"}}, kStandard);
  const Json row = {{"question", "q"}, {"prompt", "p"}};
  CHECK(RowFields(row, names, kOrigin).text("prompt") == "q");
}

TEST_CASE("field names: a name in the file that was mapped no longer means itself") {
  const FieldNames names({{"prompt", "text"}}, kStandard);
  const Json row = {{"text", "t"}};
  CHECK(RowFields(row, names, kOrigin).text("prompt") == "t");
  CHECK(RowFields(row, names, kOrigin).find("text") == nullptr);
}

TEST_CASE("field names: a mapping of an unknown standard field names the nearest one") {
  const auto make = [] { FieldNames({{"promt", "question"}}, kStandard); };
  require_error(make, ExitCode::usage, {"\"promt\" is no standard field", "completion, prompt, text"});
  CHECK(error_of(make).hint() == "did you mean prompt?");
}

TEST_CASE("row fields: null counts as absent") {
  const FieldNames names({}, kStandard);
  const Json row = {{"text", nullptr}};
  CHECK(RowFields(row, names, kOrigin).find("text") == nullptr);
}

TEST_CASE("row fields: what is no object is refused by its type") {
  const FieldNames names({}, kStandard);
  const Json array = Json::array({1});
  require_error([&] { RowFields(array, names, kOrigin); }, ExitCode::data,
                {"f line 1", "object", "found array"});
}

TEST_CASE("row fields: messages use the name in the file") {
  const FieldNames names({{"prompt", "question"}}, kStandard);
  const Json row = {{"question", ""}, {"text", 5}};
  const RowFields fields(row, names, kOrigin);
  require_error([&] { fields.non_empty_text("prompt"); }, ExitCode::data,
                {"f line 1: \"question\" is empty"});
  require_error([&] { fields.text("text"); }, ExitCode::data, {"\"text\" must be a string, found 5"});
}
