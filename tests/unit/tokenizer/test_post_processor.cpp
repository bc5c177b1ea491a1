#include "parts.h"
#include "support/catch.h"
#include "support/errors.h"
#include "tokenizer/post_processor.h"

using namespace lora;
using lora::test::Parsed;
using lora::test::require_error;

namespace {

PostProcessor processor(const std::string& json) {
  const Parsed parsed(json);
  return PostProcessor::parse(parsed.component());
}

void check(const PostProcessor& made, const TokenIds& single, const TokenIds& pair, const TokenIds& types) {
  const TokenIds first{10, 11}, second{20};
  CHECK(made.apply(first, nullptr).ids == single);
  CHECK(made.apply(first, nullptr).types == TokenIds(single.size(), 0));
  CHECK(made.apply(first, &second).ids == pair);
  CHECK(made.apply(first, &second).types == types);
}

const std::string kTemplate = R"({"type": "TemplateProcessing",
  "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
  "pair": [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
           {"Sequence": {"id": "A", "type_id": 0}}],
  "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1, 2], "tokens": ["[CLS]", "x"]}}})";

}  // namespace

TEST_CASE("post-processors: the kinds of BERT, RoBERTa and GPT-2, and none") {
  check(PostProcessor(), {10, 11}, {10, 11, 20}, {0, 0, 1});
  check(processor(R"({"type": "ByteLevel"})"), {10, 11}, {10, 11, 20}, {0, 0, 1});
  check(processor(R"({"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]})"), {1, 10, 11, 2},
        {1, 10, 11, 2, 20, 2}, {0, 0, 0, 0, 1, 1});
  check(processor(R"({"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]})"), {0, 10, 11, 2},
        {0, 10, 11, 2, 2, 20, 2}, {0, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("post-processors: a template puts sequences and tokens anywhere") {
  check(processor(kTemplate), {1, 2, 10, 11}, {20, 1, 2, 10, 11}, {1, 0, 0, 0, 0});
  check(processor(R"({"type": "Sequence", "processors": [{"type": "ByteLevel"}, )" + kTemplate + "]}"),
        {1, 2, 10, 11}, {20, 1, 2, 10, 11}, {1, 0, 0, 0, 0});
}

TEST_CASE("post-processors: bos and eos of a SentencePiece model") {
  check(PostProcessor::around(1, std::nullopt), {1, 10, 11}, {1, 10, 11, 1, 20}, {0, 0, 0, 1, 1});
  check(PostProcessor::around(std::nullopt, 2), {10, 11, 2}, {10, 11, 2, 20, 2}, {0, 0, 0, 1, 1});
}

TEST_CASE("post-processors: other types and impossible templates are refused") {
  require_error([] { processor(R"({"type": "Odd"})"); }, ExitCode::file, {"\"Odd\""});
  require_error(
      [] { processor(R"({"type": "Sequence", "processors": [)" + kTemplate + "," + kTemplate + "]}"); },
      ExitCode::file, {"processors[1]"});
  require_error([] { processor(R"({"type": "BertProcessing", "sep": ["s", -2], "cls": ["c", 1]})"); },
                ExitCode::file, {"-2"});
  const std::string unknown =
      R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}],
                                  "pair": [], "special_tokens": {}})";
  require_error([&] { processor(unknown); }, ExitCode::file, {"\"x\""});
  const std::string second =
      R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B", "type_id": 0}}],
                                 "pair": [], "special_tokens": {}})";
  require_error([&] { processor(second); }, ExitCode::file, {"second"});
}
