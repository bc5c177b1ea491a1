#include "parts.h"
#include "support/catch.h"
#include "support/errors.h"
#include "tokenizer/decoder.h"

using namespace lora;
using lora::test::Parsed;
using lora::test::require_error;
using Tokens = std::vector<std::string>;

namespace {

std::string decoded(const std::string& json, Tokens tokens) {
  const Parsed parsed(json);
  make_decoder(parsed.component())->apply(tokens);
  return join(tokens, "");
}

}  // namespace

TEST_CASE("decoders: bytes, word pieces, spaces, suffixes") {
  CHECK(decoded(R"({"type": "ByteLevel"})", {"hi", "ĠÃ©", "æĹ"}) == "hi é\uFFFD");
  CHECK(decoded(R"({"type": "WordPiece", "prefix": "##", "cleanup": true})",
                {"do", "n", "##'t", "stop", "."}) == "do n't stop.");
  CHECK(decoded(R"({"type": "WordPiece", "prefix": "##", "cleanup": false})", {"a", "##b", "."}) == "ab .");
  CHECK(decoded(R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"})", {"▁a", "▁b"}) ==
        "a b");
  CHECK(decoded(R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"})", {"▁a", "b"}) ==
        " ab");
  CHECK(decoded(R"({"type": "BPEDecoder", "suffix": "</w>"})", {"a</w>", "b", "c</w>"}) == "a bc");
  CHECK(decoded(R"({"type": "Replace", "pattern": {"String": "▁"}, "content": " "})", {"▁a▁"}) == " a ");
  CHECK(decoded(R"({"type": "Strip", "content": " ", "start": 1, "stop": 2})", {"  a   "}) == " a ");
}

TEST_CASE("decoders: byte fallback joins bytes to characters and marks each byte of none") {
  const std::string json = R"({"type": "ByteFallback"})";
  CHECK(decoded(json, {"a", "<0xC3>", "<0xA9>", "b"}) == "aéb");
  CHECK(decoded(json, {"<0xC3>", "<0xC3>", "x"}) == "\uFFFD\uFFFDx");
  CHECK(decoded(json, {"<0xZZ>"}) == "<0xZZ>");
}

TEST_CASE("decoders: a sequence as Llama has it") {
  const std::string json = R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";
  CHECK(decoded(json, {"▁hi", "<0x0A>", "▁you"}) == "hi\n you");
}

TEST_CASE("decoders: other types are refused by name") {
  require_error([] { decoded(R"({"type": "CTC"})", {}); }, ExitCode::file, {"\"CTC\""});
}
