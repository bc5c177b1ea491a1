#include "char_tokenizer.h"
#include "data/text_frame.h"
#include "support/catch.h"

using lora::TextFrame;
using lora::TokenIds;
using lora::test::CharTokenizer;

TEST_CASE("text frame: bos only where the tokenizer itself puts one") {
  const CharTokenizer with, without({.adds_bos = false});
  CHECK(TextFrame(with).start() == TokenIds{CharTokenizer::kBos});
  CHECK(TextFrame(without).start().empty());
}

TEST_CASE("text frame: eos where the tokenizer has one") {
  const CharTokenizer with, without({.has_eos = false});
  CHECK(TextFrame(with).end() == TokenIds{CharTokenizer::kEos});
  CHECK(TextFrame(without).end().empty());
}

TEST_CASE("text frame: a continuation has no word mark, an opening has") {
  const CharTokenizer marking({.marks_texts = true});
  const TextFrame frame(marking);
  TokenIds opening = CharTokenizer::ids(" yes");
  CHECK(frame.continuation(" yes") == opening);
  opening.insert(opening.begin(), CharTokenizer::kMark);
  CHECK(frame.opening(" yes") == opening);
}

TEST_CASE("text frame: without word marks a continuation is the text alone") {
  const CharTokenizer tokenizer;
  CHECK(TextFrame(tokenizer).continuation(" yes") == CharTokenizer::ids(" yes"));
}

TEST_CASE("text frame: spelled special tokens stay characters") {
  const CharTokenizer tokenizer;
  CHECK(TextFrame(tokenizer).opening("<s>") == CharTokenizer::ids("<s>"));
  CHECK(TextFrame(tokenizer).continuation("</s>") == CharTokenizer::ids("</s>"));
}

TEST_CASE("text frame: leading bos ids are counted") {
  const CharTokenizer tokenizer;
  const TextFrame frame(tokenizer);
  const std::int32_t bos = CharTokenizer::kBos;
  CHECK(frame.leading_starts({bos, bos, 9, bos}) == 2);
  CHECK(frame.leading_starts({9, bos}) == 0);
  CHECK(frame.leading_starts({}) == 0);
}
