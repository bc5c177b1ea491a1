#include "tokenizer/regex.h"

#include <stdexcept>

#include "base/pcre2_code.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

struct Regex::Code {
  Pcre2Owner<pcre2_code> code;

  /// Number of pairs found, or a negative error. The text is known to be valid UTF-8.
  int match(std::string_view text, std::size_t from, std::uint32_t options, pcre2_match_data* data) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    options |= PCRE2_NO_UTF_CHECK;
    const int found = pcre2_match(code.get(), subject, text.size(), from, options, data, nullptr);
    if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    // The interpreter keeps its stack on the heap.
    return pcre2_match(code.get(), subject, text.size(), from, options | PCRE2_NO_JIT, data, nullptr);
  }
};

Regex::Regex(const std::string& pattern, const std::string& place) : place_(place) {
  auto code = std::make_shared<Code>();
  try {
    // In Oniguruma ^ and $ always mean lines.
    code->code = pcre2_compiled(onig_to_pcre2(pattern), PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE);
  } catch (const std::invalid_argument& unsupported) {
    throw Error(ExitCode::file, cat(place, ": the regular expression \"", printable(pattern),
                                    "\" is not supported: ", unsupported.what()));
  }
  pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE);  // where there is no JIT, the interpreter works
  code_ = std::move(code);
}

Spans Regex::spans(std::string_view text) const {
  const Pcre2Owner<pcre2_match_data> data(pcre2_match_data_create_from_pattern(code_->code.get(), nullptr));
  Spans spans;
  std::size_t gap = 0;  // end of the last match
  for (std::size_t at = 0; at <= text.size();) {
    const int found = code_->match(text, at, 0, data.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw Error(ExitCode::data, cat(place_, ": the regular expression gave up on a text of ", text.size(),
                                      " bytes: ", pcre2_message(found)));
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
    const bool empty = ends[0] == ends[1];
    if (empty && ends[1] == gap && !spans.empty()) {  // right behind a match: does not count
      if (at == text.size()) break;
      next_char(text, at);
      continue;
    }
    if (gap < ends[0]) spans.push_back({gap, ends[0], false});
    spans.push_back({ends[0], ends[1], true});
    gap = at = ends[1];
  }
  if (gap < text.size()) spans.push_back({gap, text.size(), false});
  return spans;
}

}  // namespace lora
