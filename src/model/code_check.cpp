#include "model/code_check.h"

#include <algorithm>
#include <set>

#include "lora/base/text.h"
#include "model/code_tokens.h"
#include "model/known_operators.h"
#include "model/pickle_names.h"

namespace lora {
namespace {

using Kind = CodeToken::Kind;

constexpr std::string_view kFileOperators[] = {"save", "from_file"};
constexpr std::string_view kRefusedFunctions[] = {"print", "fork", "awaitable"};
constexpr std::string_view kMeaningful[] = {"torch", "ops", "getattr", "print", "fork", "awaitable"};
constexpr std::string_view kOwnRoot = "__torch__";
constexpr std::string_view kForeignClasses = "__torch__.torch.classes";
/// A text in the place of a type that begins so names a class of compiled code.
constexpr std::string_view kForeignTexts[] = {kForeignClasses, "torch.classes.", "torch.cuda."};
constexpr std::size_t kMostFindings = 100;
constexpr std::string_view kPickleFunctions[] = {"collections.OrderedDict",
                                                 "torch._utils._rebuild_tensor_v2",
                                                 "torch._utils._rebuild_tensor",
                                                 "torch._utils._rebuild_parameter",
                                                 "torch.jit._pickle.build_intlist",
                                                 "torch.jit._pickle.build_tensorlist",
                                                 "torch.jit._pickle.build_doublelist",
                                                 "torch.jit._pickle.build_boollist",
                                                 "torch.jit._pickle.build_tensor_from_id",
                                                 "torch.jit._pickle.restore_type_tag",
                                                 "torch.device",
                                                 "builtins.complex"};

template <class Words>
bool is_among(const Words& words, std::string_view name) {
  return std::find(std::begin(words), std::end(words), name) != std::end(words);
}

/// A qualified name in code, which must begin with a class or function of the archive.
struct OwnName {
  std::string name, member;
  std::size_t line;
  bool operator<(const OwnName& other) const { return name < other.name; }
};

/// What the sources together define and name.
struct Names {
  std::set<std::string, std::less<>> defined;
  std::set<OwnName> used;                         ///< each name where it was met first
  std::set<std::string, std::less<>> harmless{};  ///< names behind a dot that are no operators to refuse
};

std::string refusal(const std::string& space, std::string_view name) {
  if (name.empty()) return cat(space, " by itself: could be called under another name");
  if (is_among(kFileOperators, name)) return cat(space, ".", name, ": reads or writes files");
  return cat(space, ".", name, ": no operator that exports use");
}

/// Of an attribute or method of a value: it is an operator's, if LibTorch has one of that name.
std::string member_problem(std::string_view name, const IsOperator& is_operator, Names& names) {
  if (names.harmless.count(name)) return "";
  if (!is_known_aten(name) && is_operator(std::string(name))) return refusal("", name);
  names.harmless.emplace(name);
  return "";
}

/// One source file.
class SourceCheck {
 public:
  SourceCheck(const std::string& path, std::string_view source, const IsOperator& is_operator,
              const std::string& place, Names& names, std::vector<CodeFinding>& findings)
      : path_(path),
        qualifier_(source_qualifier(path)),
        place_(cat(place, ": ", printable(path))),
        tokens_(source, place_),
        is_operator_(is_operator),
        names_(names),
        findings_(findings) {}

  void run() {
    for (advance(); token_.kind != Kind::end;) {
      if (token_.kind == Kind::text) {
        text();
      } else if (token_.kind == Kind::name) {
        name();
      } else {
        bracket();
        advance();
      }
    }
  }

 private:
  void advance() {
    last_ = token_;
    token_ = tokens_.next();
  }

  void find(std::size_t line, const std::string& what) {
    if (findings_.size() < kMostFindings) findings_.push_back({path_, line, what});
  }

  /// Adjacent texts are one.
  void text() {
    const std::size_t line = token_.line;
    text_.clear();
    for (; token_.kind == Kind::text; advance()) text_ += text_value(token_.spelling);
    for (std::string_view prefix : kForeignTexts) {
      if (text_.starts_with(prefix))
        find(line, cat("the text \"", text_, "\": could name a class of compiled code"));
    }
  }

  void name() {
    if (last_.is('.')) {
      member(token_.spelling, token_.line);
      advance();
    } else if (declares()) {
      advance();
    } else if (token_.is("torch")) {
      torch_operator();
    } else if (token_.is("ops")) {
      namespaced_operator();
    } else if (token_.is(kOwnRoot)) {
      own_name();
    } else {
      plain_name();
    }
  }

  /// `NAME : TYPE` gives an attribute its type. Only names that mean something else by themselves matter.
  bool declares() {
    if (!token_.starts_line || !is_among(kMeaningful, token_.spelling)) return false;
    return CodeTokens(tokens_).next().is(':');
  }

  void plain_name() {
    const CodeToken name = token_;
    advance();
    if (name.is("getattr")) {
      if (token_.is('(')) return open_getattr();
      find(name.line, "getattr by itself: could be called under another name");
    }
    if (is_among(kRefusedFunctions, name.spelling)) find(name.line, cat(name.spelling, ": no calculation"));
    if ((name.is("class") || name.is("def")) && token_.kind == Kind::name) {
      if (name.at_margin) names_.defined.insert(cat(qualifier_, ".", token_.spelling));
      advance();
    }
  }

  /// `.NAME` behind the token that was just read; empty if something else follows.
  std::string_view selected() {
    if (!token_.is('.')) return {};
    advance();
    if (token_.kind != Kind::name) return {};
    const std::string_view name = token_.spelling;
    advance();
    return name;
  }

  void torch_operator() {
    const std::size_t line = token_.line;
    advance();
    const std::string_view name = selected();
    if (!is_known_aten(name)) find(line, refusal("torch", name));
  }

  void namespaced_operator() {
    const std::size_t line = token_.line;
    advance();
    const std::string_view space = selected(), name = selected();
    const bool known = (space == "prim" && is_known_prim(name)) || (space == "aten" && is_known_aten(name));
    if (!known) find(line, refusal(space.empty() ? "ops" : cat("ops.", space), name));
  }

  void member(std::string_view name, std::size_t line) {
    if (const std::string problem = member_problem(name, is_operator_, names_); !problem.empty())
      find(line, problem);
  }

  void own_name() {
    OwnName used{std::string(token_.spelling), path_, token_.line};
    advance();
    while (token_.is('.')) {
      const std::string_view part = selected();
      if (part.empty()) break;
      used.name += cat(".", part);
    }
    names_.used.insert(std::move(used));
  }

  /// The brackets of getattr(VALUE, "NAME") are remembered until they close.
  void open_getattr() {
    ++depth_;
    getattrs_.push_back(depth_);
    advance();
  }

  void bracket() {
    if (token_.is('(') || token_.is('[') || token_.is('{')) ++depth_;
    if (!token_.is(')') && !token_.is(']') && !token_.is('}')) return;
    if (!getattrs_.empty() && getattrs_.back() == depth_) {
      getattrs_.pop_back();
      if (last_.kind == Kind::text)
        member(text_, last_.line);
      else
        find(token_.line, "getattr with a name that is no text");
    }
    if (depth_ > 0) --depth_;
  }

  std::string path_, qualifier_, place_;
  CodeTokens tokens_;
  const IsOperator& is_operator_;
  Names& names_;
  std::vector<CodeFinding>& findings_;
  CodeToken token_, last_;
  std::string text_;  ///< the last text's value
  std::size_t depth_ = 0;
  std::vector<std::size_t> getattrs_;
};

bool is_compiled(std::string_view name) {
  return name == kForeignClasses || name.starts_with(cat(kForeignClasses, "."));
}

/// Why a qualified name is none of the archive's: neither it nor a name it begins with (Enum.VALUE) is
/// defined there, or what follows that is an operator. Empty if it is.
std::string own_name_problem(std::string_view name, const IsOperator& is_operator, Names& names) {
  if (is_compiled(name)) return cat(name, ": a class of compiled code");
  std::size_t end = std::min(name.find('.'), name.size());
  while (!names.defined.count(name.substr(0, end))) {
    if (end == name.size()) return cat(name, ": no class or function of the file");
    end = std::min(name.find('.', end + 1), name.size());
  }
  while (end < name.size()) {
    const std::size_t next = std::min(name.find('.', end + 1), name.size());
    const std::string problem = member_problem(name.substr(end + 1, next - end - 1), is_operator, names);
    if (!problem.empty()) return problem;
    end = next;
  }
  return "";
}

/// torch.FloatStorage and the like.
bool is_storage(std::string_view name) {
  return name.starts_with("torch.") && name.ends_with("Storage") && name.rfind('.') == 5;
}

std::string global_problem(std::string_view name, const IsOperator& is_operator, Names& names) {
  if (name.starts_with(cat(kOwnRoot, "."))) return own_name_problem(name, is_operator, names);
  const bool known = is_among(kPickleFunctions, name) || is_storage(name);
  return known ? "" : cat(name, ": no function that exports use");
}

}  // namespace

std::vector<CodeFinding> check_code(const ArchiveCode& code, const IsOperator& is_operator,
                                    const std::string& place) {
  Names names;
  std::vector<CodeFinding> findings;
  const auto find = [&](const std::string& member, std::size_t line, const std::string& problem) {
    if (!problem.empty() && findings.size() < kMostFindings) findings.push_back({member, line, problem});
  };
  for (const auto& [path, source] : code.sources)
    SourceCheck(path, source, is_operator, place, names, findings).run();
  for (const OwnName& used : names.used)
    find(used.member, used.line, own_name_problem(used.name, is_operator, names));
  for (const auto& [path, pickle] : code.pickles) {
    const PickleNames asked = pickle_names(pickle, cat(place, ": ", path));
    for (const std::string& name : asked.globals) find(path, 0, global_problem(name, is_operator, names));
    for (const std::string& type : asked.types)
      find(path, 0, cat("the text \"", type, "\": could name a class of compiled code"));
  }
  return findings;
}

}  // namespace lora
