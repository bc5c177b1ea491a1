#include <algorithm>
#include <iterator>

#include "fuzz_target.h"
#include "model/code_check.h"

namespace lora::fuzz {
namespace {

using Inputs = std::vector<std::string>;

constexpr const char* kMember = "code/__torch__/m.py";

bool is_operator(const std::string& name) {
  constexpr std::string_view kNames[] = {"save", "from_file", "set_", "add"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

void read_source(std::string_view input) {
  ArchiveCode code;
  code.sources[kMember] = input;
  check_code(code, is_operator, "input");
}

Inputs source_seeds() {
  return {R"(class Model(Module):
  __parameters__ = ["weight", ]
  training : bool
  __annotations__["0"] = __torch__.m.Part
  def forward(self: __torch__.m.Model,
    x: Tensor) -> Tensor:
    # type: (Tensor) -> Tensor
    _0 = getattr(self.blocks, "0")
    y = torch.add(x, CONSTANTS.c0, alpha=1.5e-3)
    _1 = ops.prim.NumToTensor(torch.size(y, 1))
    if x not in [1j, -.5]:
      ops.prim.RaiseException("torch.save(x) '\"\164", '''a
b''')
    return __torch__.m.helper(_1, (_0).forward(y, ))
class Part(Module):
  pass
def helper(x: Tensor, y: Tensor) -> Tensor:
  return torch.mul(x, y)
)",
          "t = torch\nx = ops.image.read_file('p') # torch.save\n\\\ny : __torch__.torch.classes.a.B\n"};
}

Inputs large_sources() {
  std::string names, findings;
  for (int i = 0; names.size() < (4 << 20); ++i)
    names += "x.n" + std::to_string(i) + " = __torch__.c" + std::to_string(i) + "\n";
  while (findings.size() < (4 << 20)) findings += "torch.save\n";
  return {names, findings};
}

void read_globals(std::string_view input) {
  ArchiveCode code;
  code.sources[kMember] = "class Model(Module):\n  pass\n";
  code.pickles["data.pkl"] = input;
  check_code(code, is_operator, "input");
}

Inputs pickle_seeds() {
  using namespace std::string_literals;
  return {
      "\x80\x02"s +
          "c__torch__.m\nModel\n)\x81}(X\x08\0\0\0training\x88X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n"s +
          "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"s +
          "0X\3\0\0\0cpuK\4tQK\0(K\2K\2t(K\2K\1t\x89"s + "ccollections\nOrderedDict\n)RtRub."s,
      "ctorch.jit._pickle\nbuild_intlist\n(](J\1\0\0\0M\2\0\x8a\2\1\0G\0\0\0\0\0\0\0\0etRq\1h\1r\2\0\0\0j\2\0\0\0."s};
}

Inputs large_pickles() {
  std::string globals, texts;
  for (int i = 0; globals.size() < (4 << 20); ++i) globals += "c__torch__.a\nC" + std::to_string(i) + "\n";
  for (int i = 0; texts.size() < (4 << 20); ++i)
    texts += std::string("X\x18\0\0\0torch.classes.", 19) + std::to_string(1'000'000'000 + i);
  return {globals + ".", texts + "."};
}

}  // namespace

std::vector<FuzzTarget> code_targets() {
  return {{"code", read_source, source_seeds, large_sources, 16},
          {"pickle", read_globals, pickle_seeds, large_pickles, 16}};
}

}  // namespace lora::fuzz
