#include <vector>

#include "model/code_tokens.h"
#include "support/errors.h"

using namespace lora;
using lora::test::require_error;

namespace {

std::vector<std::string> spellings(std::string_view code) {
  const std::string place = "m.py";
  CodeTokens tokens(code, place);
  std::vector<std::string> list;
  for (CodeToken token = tokens.next(); token.kind != CodeToken::Kind::end; token = tokens.next())
    list.emplace_back(token.spelling);
  return list;
}

void refuses(const std::string& code, const std::string& part) {
  require_error([&] { spellings(code); }, ExitCode::file, {"m.py line ", part});
}

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("code tokens: names, numbers, texts and signs") {
  CHECK(spellings("x = torch.add(x, 1.5e-3, alpha=.5)[1:]") == List{"x", "=", "torch", ".", "add", "(", "x",
                                                                    ",", "1.5e-3", ",", "alpha", "=", ".5",
                                                                    ")", "[", "1", ":", "]"});
  CHECK(spellings("2j -1. ...x") == List{"2j", "-", "1.", "...", "x"});
  CHECK(spellings(R"(a = 'it''s' "\"" '\'' "" """a"b
c""")") == List{"a", "=", "'it'", "'s'", "\"\\\"\"", "'\\''", "\"\"", "\"\"\"a\"b\nc\"\"\""});
  CHECK(spellings("").empty());
}

TEST_CASE("code tokens: comments end with their line, but a type comment is code") {
  CHECK(spellings("x # torch.save(\ny") == List{"x", "y"});
  CHECK(spellings("x # type: (T) -> U") == List{"x", "# type:", "(", "T", ")", "-", ">", "U"});
  CHECK(spellings("x #type: T") == List{"x"});
  CHECK(spellings("'# no comment' y") == List{"'# no comment'", "y"});
}

TEST_CASE("code tokens: \"not in\" and \"is not\" end where LibTorch ends them") {
  CHECK(spellings("not intorch is notops notin isnot") ==
        List{"not in", "torch", "is not", "ops", "notin", "isnot"});
}

TEST_CASE("code tokens: definitions of the file stand at the margin, in lines of their own") {
  const std::string place = "m.py";
  const auto margins = [&](std::string_view code) {
    CodeTokens tokens(code, place);
    int count = 0;
    for (CodeToken token = tokens.next(); token.kind != CodeToken::Kind::end; token = tokens.next())
      count += token.is("def") && token.at_margin;
    return count;
  };
  CHECK(margins("def f():\n  x\ndef g():\n  y\n") == 2);
  CHECK(margins("class A:\n  def f():\n    x\n") == 0);
  CHECK(margins("class A:\n  \\\ndef f():\n") == 0);
  CHECK(margins("f(\ndef g") == 0);
  CHECK(margins("'''\ndef f():\n'''\n") == 0);
  CHECK(margins("x\\\ndef f\n") == 0);
}

TEST_CASE("code tokens: lines are counted through texts, comments and continuations") {
  const std::string place = "m.py";
  CodeTokens tokens("'''a\nb''' # c\n\\\nlast", place);
  CHECK(tokens.next().line == 1);
  const CodeToken last = tokens.next();
  CHECK(last.spelling == "last");
  CHECK(last.line == 4);
}

TEST_CASE("code tokens: what is no source is refused with its line") {
  refuses("x\n'open", "line 2");
  refuses("x = 'open\nnext'", "does not end");
  refuses("\"\"\"open \"\"", "does not end");
  refuses("x $ y", "character 36");
  refuses(std::string("x\0y", 3), "character 0");
  refuses("\xc3\xa4 = 1", "character 195");
  refuses("1torch.save(x)", "runs into a name");
  refuses("0x1p3", "runs into a name");
  refuses("x \\ y", "character 92");
}

TEST_CASE("code tokens: depth and length are bounded") {
  refuses(std::string(65, '('), "deeper than 64");
  CHECK(spellings(std::string(64, '(') + std::string(64, ')')).size() == 128);
  std::string line = "x = [1";
  for (int i = 0; i < 3000; ++i) line += ", 1";
  refuses(line, "4096 words");
  refuses("x = " + std::string(5000, '-') + "1", "4096 words");
  std::string branches = "def f(x):\n";
  for (int i = 0; i < 1100; ++i) branches += "elif x:\n";
  refuses(branches, "1024 branches");
  refuses("x\n" + std::string(600, ' ') + "y", "indented");
}

TEST_CASE("code tokens: the value of a text is what LibTorch makes of it") {
  CHECK(text_value(R"("a\"b")") == "a\"b");
  CHECK(text_value(R"('\164orch')") == "torch");
  CHECK(text_value("'''a\\\nb'''") == "a\nb");
  CHECK(text_value("''").empty());
  CHECK(text_value(R"('\9')") == R"(\9)");
  CHECK(text_value(R"('\\n')") == R"(\n)");
}
