#include <cctype>
#include <set>

#include "lora/base/sha256.h"
#include "model/code_check.h"
#include "model/model_trust.h"
#include "support/deflated.h"
#include "support/errors.h"

using namespace lora;
using lora::test::deflated;
using lora::test::require_error;

namespace {

constexpr const char* kMember = "code/__torch__/m.py";

bool is_operator(const std::string& name) {
  return std::set<std::string>{"save", "from_file", "add", "set_", "relu"}.count(name) > 0;
}

std::vector<CodeFinding> findings(const ArchiveCode& code) { return check_code(code, is_operator, "m.pt"); }

/// The findings in one member, "LINE what" each.
std::vector<std::string> in_source(const std::string& source) {
  ArchiveCode code;
  code.sources[kMember] = source;
  std::vector<std::string> list;
  for (const CodeFinding& finding : findings(code)) {
    CHECK(finding.member == kMember);
    list.push_back(std::to_string(finding.line) + " " + finding.what);
  }
  return list;
}

/// The only finding begins with its line and the name.
void finds(const std::string& source, const std::string& start) {
  const auto list = in_source(source);
  INFO(source);
  REQUIRE(list.size() == 1);
  INFO(list.front());
  CHECK(list.front().starts_with(start));
}

std::string text_of(const std::string& text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  return "X" + std::string(reinterpret_cast<const char*>(&size), 4) + text;
}

std::vector<std::string> in_pickle(const std::string& pickle) {
  ArchiveCode code;
  code.sources[kMember] = "class Model(Module):\n  pass\n";
  code.pickles["data.pkl"] = pickle;
  std::vector<std::string> list;
  for (const CodeFinding& finding : findings(code)) list.push_back(finding.what);
  return list;
}

}  // namespace

TEST_CASE("code check: what exports write passes") {
  CHECK(in_source(R"(class Model(Module):
  __parameters__ = ["weight", ]
  training : bool
  torch : Tensor
  ops : __torch__.m.Part
  __annotations__["0"] = __torch__.m.Part
  def forward(self: __torch__.m.Model,
    x: Tensor) -> Tensor:
    _0 = getattr(self.blocks, "0")
    y = torch.add(x, CONSTANTS.c0, alpha=1)
    _1 = ops.prim.NumToTensor(torch.size(y, 1))
    _2 = (_0).forward(annotate(List[int], [-1, 2]), )
    if isinstance(x, int):
      ops.prim.RaiseException("torch.save(x) failed", "__torch__.m.Failure")
    return __torch__.m.helper(torch.relu(y), (x).add(y))
class Part(Module):
  pass
def helper(x: Tensor, y: Tensor) -> Tensor:
  return torch.mul(x, y)
)")
            .empty());
}

TEST_CASE("code check: operators outside of the known ones are found with their line") {
  finds("def f(x):\n  torch.save(x, 'p')\n", "2 torch.save: reads or writes files");
  finds("def f(x):\n  y = torch.from_file('p')\n", "2 torch.from_file: reads or writes files");
  finds("def f(x):\n\n  y = torch . \\\n save\n", "3 torch.save");
  finds("y = torch.autograd.add(x)", "1 torch.autograd");
  finds("y = ops.aten.save(x)", "1 ops.aten.save");
  finds("y = ops.prim.autograd", "1 ops.prim.autograd");
  finds("y = ops.image.read_file('p')", "1 ops.image.read_file");
  finds("y = ops.quantized.linear_prepack(x)", "1 ops.quantized.linear_prepack");
  finds("y = x.set_(z)", "1 .set_");
  finds("y = (x).from_file('p')", "1 .from_file");
  finds("y = getattr(x, 'set_')", "1 .set_");
  finds("y = getattr(x, 's' \"\\145t_\")", "1 .set_");
  finds("y = x not intorch.save(x)", "1 torch.save");
  finds("x = f(1) # type: torch.save", "1 torch.save");
}

TEST_CASE("code check: names that could be called under another one are found") {
  finds("t = torch", "1 torch by itself");
  finds("t = (torch)\n", "1 torch by itself");
  finds("f(torch, 1)", "1 torch by itself");
  finds("o = ops", "1 ops by itself");
  finds("o = ops.aten", "1 ops.aten by itself");
  finds("g = getattr", "1 getattr by itself");
  finds("g = getattr(x, name)", "1 getattr with a name");
  finds("print(x)", "1 print");
  finds("p = fork", "1 fork");
}

TEST_CASE("code check: classes outside of the archive are found") {
  finds("x : __torch__.torch.classes.quantized.LinearPackedParamsBase",
        "1 __torch__.torch.classes.quantized");
  finds("n = __torch__.torch", "1 __torch__.torch: no class");
  finds("n = __torch__", "1 __torch__: no class");
  finds("x : \"torch.classes.a.B\"", "1 the text \"torch.classes.a.B\"");
  finds("x : 'torch.' \"classes.a.B\"", "1 the text");
  finds("x : __torch__.other.Model", "1 __torch__.other.Model: no class");
  finds("class Color(Enum):\n  R = 1\nx = __torch__.m.Color.R.set_(1)", "3 .set_");
}

TEST_CASE("code check: an archive cannot define the names of compiled classes") {
  ArchiveCode code;
  code.sources["code/__torch__/torch.py"] = "class classes(Module):\n  pass\n";
  code.sources["code/__torch__/torch/classes/a.py"] = "class B(Module):\n  pass\n";
  code.sources[kMember] = "x : __torch__.torch.classes.a.B\n";
  REQUIRE(findings(code).size() == 1);
  code = {};
  code.sources["code/__torch__.py"] = "class A(Module):\n  \\\ndef torch(self):\n    pass\n";
  code.sources[kMember] = "n = __torch__.torch\n";
  REQUIRE(findings(code).size() == 1);
}

TEST_CASE("code check: texts and comments are no code") {
  CHECK(in_source("x = \"torch.save(y, 'p')\" # torch.save(y)\ny = 'ops.image.read_file'\n").empty());
  CHECK(in_source("'''\nt = torch\n__torch__.torch.classes.a.B\n'''\n").empty());
  finds("x = 'quote \\' ' + torch.save('#')", "1 torch.save");
  finds("# comment \\\ntorch.save(x)", "2 torch.save");
  finds("''''''torch.save(x)", "1 torch.save");
}

TEST_CASE("code check: code that cannot be read is a file error with member and line") {
  ArchiveCode code;
  code.sources[kMember] = "x = 1\ny = 'torch";
  require_error([&] { findings(code); }, ExitCode::file, {"m.pt: ", kMember, "line 2", "does not end"});
}

TEST_CASE("code check: pickles ask for the archive's classes and torch's builders alone") {
  const std::string model =
      "\x80\x02"
      "c__torch__.m\nModel\n)\x81}(" +
      text_of("training") + "\x88ub.";
  CHECK(in_pickle(model).empty());
  CHECK(in_pickle("\x80\x02"
                  "ctorch._utils\n_rebuild_tensor_v2\nctorch\nFloatStorage\n.")
            .empty());
  CHECK(in_pickle("c__torch__.torch.classes.a\nB\n)\x81.") ==
        std::vector<std::string>{"__torch__.torch.classes.a.B: a class of compiled code"});
  CHECK(in_pickle("c__torch__.other\nModel\n.").size() == 1);
  CHECK(in_pickle("cos\nsystem\n(" + text_of("ls") + "tR.") ==
        std::vector<std::string>{"os.system: no function that exports use"});
  CHECK(in_pickle(text_of("List[torch.classes.a.B]") + ".").size() == 1);
  CHECK(in_pickle(text_of("cos\nsystem\n") + ".").empty());
}

TEST_CASE("code check: damaged pickles are file errors with the byte") {
  for (const std::string& bad :
       {std::string(""), std::string("c__torch__\nModel"), std::string("X\xff\xff\xff\xffz"),
        std::string("K"), std::string("\x8a\x05z"), std::string("\x80\x02i")})
    require_error([&] { in_pickle(bad); }, ExitCode::file, {"data.pkl: no pickle of a model at byte "});
}

TEST_CASE("archive code: only sources and the two pickles are touched, and copied whole") {
  const std::string source = "class Model(Module):\n  pass\n", packed = deflated(source);
  const auto entry = [](const std::string& name, std::string_view bytes) {
    return ZipEntry{name, ZipEntry::kStored, 0, bytes.size(), bytes};
  };
  // A view of memory that no process has: reading it would end this one.
  const std::string_view unreadable(reinterpret_cast<const char*>(8), std::size_t{1} << 40);
  ZipEntry small = entry("a/code/__torch__/m.py", packed);
  small.method = ZipEntry::kDeflated;
  small.size = source.size();
  const ArchiveCode code = read_archive_code(
      {entry("a/data/0", unreadable), entry("a/extra/x.py", unreadable), entry("a/data.pkl", "K\1."), small,
       entry("a/code/__torch__/m.py.debug_pkl", unreadable), entry("b/code/__torch__/m.py", unreadable)},
      100, "m.pt");
  CHECK(code.sources == decltype(code.sources){{kMember, source}});
  CHECK(code.pickles == decltype(code.pickles){{"data.pkl", "K\1."}});
  REQUIRE(code.source_of("__torch__.m"));
  CHECK(*code.source_of("__torch__.m") == source);
  CHECK(code.source_of("__torch__.n") == nullptr);
}

TEST_CASE("archive code: its size is bounded by what it is, not by what it claims") {
  const std::string much = deflated(std::string(40 << 20, '\n'));
  ZipEntry bomb{"a/code/__torch__/m.py", ZipEntry::kDeflated, 0, 40 << 20, much};
  const auto read = [&] { read_archive_code({bomb}, much.size(), "m.pt"); };
  require_error(read, ExitCode::file,
                {"m.pt: unpacked, its code would be larger than the file and 16.0 MiB", kMember});
  bomb.size = 100;
  require_error(read, ExitCode::file, {"cannot be unpacked"});
  bomb.size = (40 << 20) - 1;
  const auto enough = [&] { read_archive_code({bomb}, 40 << 20, "m.pt"); };
  require_error(enough, ExitCode::file, {"cannot be unpacked"});
  bomb.size = 40 << 20;
  enough();
  bomb.checksum = 1;
  require_error(enough, ExitCode::file, {"checksum"});
  bomb.method = 12;
  require_error(enough, ExitCode::file, {"method 12"});
}

TEST_CASE("trusted models: one hash a line, comments and empty lines beside") {
  const std::string hash = sha256("a"), other = sha256("b");
  std::string upper = other;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  CHECK(parse_trusted_models("# mine\n\n" + hash + " my model, of 2026\r\n  " + upper + "\n", "list") ==
        std::set<std::string>{hash, other});
  CHECK(parse_trusted_models("", "list").empty());
  for (const std::string& bad : {std::string("model.pt"), hash.substr(1), hash + "0", "sha256:" + hash})
    require_error([&] { parse_trusted_models(hash + "\n" + bad + "\n", "list"); }, ExitCode::usage,
                  {"list line 2", "SHA-256"});
}
