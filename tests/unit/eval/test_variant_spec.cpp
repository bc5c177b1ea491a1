#include "eval/variant_spec.h"
#include "lora/base/error.h"
#include "support/catch.h"

using lora::parse_variants;

namespace {

lora::ExitCode code_of(const std::vector<std::string>& entries) {
  try {
    parse_variants(entries);
  } catch (const lora::Error& error) {
    return error.code();
  }
  return lora::ExitCode::ok;
}

}  // namespace

TEST_CASE("variants: base and the three kinds are read") {
  const auto specs = parse_variants({"base", "a=adapter:/tmp", "b=model:/", "c=run:/tmp"});
  REQUIRE(specs.size() == 4);
  CHECK(specs[0].name == "base");
  CHECK(specs[1].kind == lora::VariantSpec::Kind::adapter);
  CHECK(specs[2].path == "/");
  CHECK(std::string(to_string(specs[3].kind)) == "run");
}

TEST_CASE("variants: malformed entries, unknown kinds and names given twice are usage errors") {
  for (const char* entry :
       {"nonsense", "=adapter:/tmp", "a=adapter", "a=adapter:", "a=tower:/tmp", "a:b=c"}) {
    INFO(entry);
    CHECK(code_of({entry}) == lora::ExitCode::usage);
  }
  CHECK(code_of({"base", "base"}) == lora::ExitCode::usage);
  CHECK(code_of({"a=run:/tmp", "a=model:/tmp"}) == lora::ExitCode::usage);
  CHECK(code_of({"base=run:/tmp", "base"}) == lora::ExitCode::usage);
  CHECK(code_of({}) == lora::ExitCode::usage);
}

TEST_CASE("variants: a usage error shows how an entry looks") {
  try {
    parse_variants({"a=tower:/tmp"});
    FAIL("no error");
  } catch (const lora::Error& error) {
    CHECK(std::string(error.what()).find("tower") != std::string::npos);
    CHECK(error.hint().find("NAME") == std::string::npos);
    CHECK(error.hint().find("mine=adapter:") != std::string::npos);
  }
}

TEST_CASE("variants: a missing path is an io error") {
  CHECK(code_of({"a=adapter:/no/such/folder"}) == lora::ExitCode::io);
}
