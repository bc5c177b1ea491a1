#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdexcept>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
using MatchData = std::unique_ptr<pcre2_match_data, Free>;

std::string message_of(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

pcre2_code* compile(const std::string& pattern, std::string& failure) {
  const std::unique_ptr<pcre2_compile_context, Free> context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // In Oniguruma ^ and $ always mean lines.
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                                   &offset, context.get());
  if (code == nullptr) failure = cat(message_of(error), " at offset ", offset);
  return code;
}

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, Free> code;

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
  std::string failure;
  auto code = std::make_shared<Code>();
  try {
    code->code.reset(compile(onig_to_pcre2(pattern), failure));
  } catch (const std::invalid_argument& unsupported) {
    failure = unsupported.what();
  }
  if (!failure.empty()) {
    throw Error(ExitCode::file, cat(place, ": the regular expression \"", printable(pattern),
                                    "\" is not supported: ", failure));
  }
  pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE);  // where there is no JIT, the interpreter works
  code_ = std::move(code);
}

Spans Regex::spans(std::string_view text) const {
  const MatchData data(pcre2_match_data_create_from_pattern(code_->code.get(), nullptr));
  Spans spans;
  std::size_t gap = 0;  // end of the last match
  for (std::size_t at = 0; at <= text.size();) {
    const int found = code_->match(text, at, 0, data.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw Error(ExitCode::data, cat(place_, ": the regular expression gave up on a text of ", text.size(),
                                      " bytes: ", message_of(found)));
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
