#include "model/called_methods.h"
#include "support/catch.h"

using namespace lora;

namespace {

constexpr const char* kTop = R"(class Top(Module):
  part : __torch__.part.Part
  def forward(self: __torch__.top.Top,
    ids: Tensor) -> Tensor:
    part = self.part
    return (part).forward(ids, )
  def decode(self: __torch__.top.Top,
    ids: Tensor) -> Tensor:
    part = self.part
    return (part).forward2(ids, )
  def packed(self: __torch__.top.Top,
    ids: Tensor) -> Tensor:
    part = self.part
    return (part).forward1(ids, )
)";
constexpr const char* kPart = R"(class Part(Module):
  def forward(self: __torch__.part.Part,
    x: Tensor) -> Tensor:
    return torch.mul(x, 1)
  def forward1(self: __torch__.part.Part,
    x: Tensor) -> Tensor:
    _0 = """
  def forward2(self):
"""
    return torch.mul(x, 2)
  def forward2(self: __torch__.part.Part,
    x: Tensor) -> Tensor:
    return (self).helper(torch.mul(x, 3), )
  def helper(self: __torch__.part.Part,
    x: Tensor) -> Tensor:
    return x
  def __setstate__(self: __torch__.part.Part,
    state: Tensor) -> NoneType:
    return None
)";

ArchiveCode code_of(const std::string& top, const std::string& part) {
  return {{{"code/__torch__/top.py", top}, {"code/__torch__/part.py", part}}, {}};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("called methods: a method goes with those that only it calls") {
  const ArchiveCode code = without_method(code_of(kTop, kPart), "decode", "model.pt");
  const std::string &top = code.sources.at("code/__torch__/top.py"),
                    &part = code.sources.at("code/__torch__/part.py");
  CHECK(has(top, "part : __torch__.part.Part\n  def forward(self"));
  CHECK(has(top, "def packed(self"));
  CHECK_FALSE(has(top, "decode"));
  CHECK(part == std::string(kPart).erase(std::string(kPart).find("  def forward2(self: "),
                                         std::string(kPart).find("  def __setstate__") -
                                             std::string(kPart).find("  def forward2(self: ")));
}

TEST_CASE("called methods: what is used otherwise stays, whatever it is called") {
  std::string top = kTop;
  top.replace(top.find("forward1"), 8, "forward2");
  CHECK(has(without_method(code_of(top, kPart), "decode", "model.pt").sources.at("code/__torch__/part.py"),
            "def helper(self"));
  top.replace(top.find("return (part).forward("), 0, "ids = (self).decode(ids, )\n    ");
  CHECK(has(without_method(code_of(top, kPart), "decode", "model.pt").sources.at("code/__torch__/top.py"),
            "def decode(self"));
  const std::string function =
      "def call(part: __torch__.part.Part) -> Tensor:\n  return (part).forward2(x, )\n";
  CHECK(has(without_method(code_of(function + kTop, kPart), "decode", "model.pt")
                .sources.at("code/__torch__/part.py"),
            "def helper(self"));
  const ArchiveCode other = code_of(kTop, kPart);
  const ArchiveCode same = without_method(other, "absent", "model.pt");
  CHECK(same.sources == other.sources);
}
