#include "model/called_methods.h"

#include <set>

#include "model/code_tokens.h"

namespace lora {
namespace {

/// A method's lines in a source.
struct Method {
  std::string name;
  std::size_t begin = 0, end = 0;           ///< positions in the source
  std::set<std::string, std::less<>> uses;  ///< names that follow a dot, of methods or not
};

/// `elsewhere` gets the names that follow a dot outside of methods: functions of the file may call methods,
/// too.
std::vector<Method> methods_of(const std::string& source, const std::string& place,
                               std::vector<std::string>& elsewhere) {
  std::vector<Method> methods;
  CodeTokens tokens(source, place);
  std::size_t indentation = 0;  // of the method that is being read
  bool inside = false;
  const auto position = [&](const CodeToken& token) {
    return static_cast<std::size_t>(token.spelling.data() - source.data());
  };
  CodeToken before, token = tokens.next();
  for (; token.kind != CodeToken::Kind::end; before = token, token = tokens.next()) {
    if (token.starts_line) {
      const std::size_t line = source.rfind('\n', position(token)) + 1;  // 0 on the first line
      const std::size_t column = position(token) - line;
      if (inside && column <= indentation) {
        methods.back().end = line;
        inside = false;
      }
      if (!inside && token.is("def") && !token.at_margin) {
        methods.push_back({"", line, source.size(), {}});
        indentation = column;
        inside = true;
      }
    }
    if (token.kind != CodeToken::Kind::name) continue;
    if (!inside) {
      if (before.is('.')) elsewhere.emplace_back(token.spelling);
      continue;
    }
    if (before.is("def") && methods.back().name.empty()) methods.back().name = token.spelling;
    if (before.is('.')) methods.back().uses.emplace(token.spelling);
  }
  return methods;
}

}  // namespace

ArchiveCode without_method(ArchiveCode code, const std::string& name, const std::string& place) {
  std::map<std::string, std::vector<Method>> methods;                           // by source
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> uses;  // by name
  std::vector<std::string> open = {"forward"};
  for (const auto& [path, source] : code.sources) {
    methods[path] = methods_of(source, place, open);
    for (const Method& method : methods[path])
      uses[method.name].insert(method.uses.begin(), method.uses.end());
  }
  std::set<std::string, std::less<>> used, kept;
  for (const auto& [user, names] : uses)
    for (const std::string& each : names)
      if (each != user) used.insert(each);
  for (const auto& [method, names] : uses)
    if (method != name && !used.contains(method)) open.push_back(method);  // whoever has the module calls it
  while (!open.empty()) {
    const std::string next = std::move(open.back());
    open.pop_back();
    if (!uses.contains(next) || !kept.insert(next).second) continue;
    open.insert(open.end(), uses[next].begin(), uses[next].end());
  }
  for (auto& [path, source] : code.sources) {
    const auto& all = methods[path];
    for (auto method = all.rbegin(); method != all.rend(); ++method)
      if (!kept.contains(method->name)) source.erase(method->begin, method->end - method->begin);
  }
  return code;
}

}  // namespace lora
