#include <torch/csrc/jit/frontend/lexer.h>

#include "fuzz/mutation.h"
#include "lora/base/error.h"
#include "model/code_tokens.h"
#include "support/catch.h"

using namespace lora;

namespace {

using Words = std::vector<std::string>;

bool is_word(std::string_view spelling) {
  const char first = spelling.empty() ? ' ' : spelling[0];
  return (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '_' || first == '"' ||
         first == '\'';
}

/// Names, keywords and texts as LibTorch cuts them; what was read before something that it refuses.
Words words_of_libtorch(const std::string& code) {
  Words words;
  try {
    torch::jit::Lexer lexer(std::make_shared<torch::jit::Source>(code));
    while (lexer.cur().kind != torch::jit::TK_EOF) {
      const std::string spelling = lexer.next().text();
      if (is_word(spelling)) words.push_back(spelling);
    }
  } catch (const std::exception&) {
  }
  return words;
}

/// The same by our tokens; nothing for code that is refused.
std::optional<Words> our_words(const std::string& code) {
  Words words;
  const std::string place = "m.py";
  try {
    CodeTokens tokens(code, place);
    for (CodeToken token = tokens.next(); token.kind != CodeToken::Kind::end; token = tokens.next()) {
      if (token.kind == CodeToken::Kind::name || token.kind == CodeToken::Kind::text)
        words.emplace_back(token.spelling);
    }
  } catch (const Error&) {
    return std::nullopt;
  }
  return words;
}

/// No name that LibTorch sees is hidden from us. Returns how many were compared.
std::size_t check_same(const std::string& code) {
  const auto ours = our_words(code);
  if (!ours) return 0;
  const Words theirs = words_of_libtorch(code);
  const Words begin(ours->begin(),
                    ours->begin() + static_cast<std::ptrdiff_t>(std::min(ours->size(), theirs.size())));
  INFO(code);
  if (theirs != begin) CHECK(theirs == begin);
  return theirs.size();
}

}  // namespace

TEST_CASE("code tokens: LibTorch's lexer finds the same names and texts, in mutations of code, too") {
  const std::vector<std::string> seeds = {
      R"(class Model(Module):
  __parameters__ = ["weight", 'b\'', ]
  def forward(self: __torch__.m.Model,
    x: Tensor) -> Tensor:
    # type: (Tensor) -> Tensor
    _0 = getattr(self.blocks, "0")   # torch.save
    y = torch.add(x, CONSTANTS.c0, alpha=1.5e-3)
    if x not in [1j, -.5, 2.] and x is not None:
      ops.prim.RaiseException("torch.save(x) '\"\164", '''a
b''')
    return x if y else \
        torch.mul(x, y)
)",
      "x = not intorch.save is notops ...torch 1..x \"\"'' \"\"\"\\\"\"\"\" # type: ops #type: z\n\\\ny <=> "
      "z",
      "'a\\\nb' \"c\\\\\" '''d''''e' 1e5torch 1 .save 1.e3.f 5_a\r\n\t\v\fz"};
  CHECK(check_same(seeds[0]) > 40);
  CHECK(check_same(seeds[1]) > 10);
  fuzz::Mutator mutator(seeds, 1);
  std::size_t compared = 0;
  for (int i = 0; i < 20'000; ++i) compared += check_same(mutator.next());
  CHECK(compared > 40'000);
}
