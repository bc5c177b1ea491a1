#include "lora/base/path_pattern.h"

#include <stdexcept>

#include "base/pcre2_code.h"
#include "lora/base/text.h"

namespace lora {

namespace {

constexpr std::uint32_t kMostSteps = 1'000'000, kMostHeapKib = 16 << 10;
constexpr std::uint32_t kOptions =
    PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED;

}  // namespace

struct PathPattern::Compiled {
  Pcre2Owner<pcre2_code> code;
  Pcre2Owner<pcre2_match_context> limits{pcre2_match_context_create(nullptr)};
  std::string name;
  ExitCode exit_code;

  Error error(const std::string& why) const {
    return Error(exit_code, cat(name, " is no regular expression known here: ", why));
  }
};

PathPattern::PathPattern(const std::string& expression, const std::string& place, ExitCode code) {
  auto compiled = std::make_shared<Compiled>();
  compiled->name =
      cat(place, " \"", printable(expression.substr(0, 100)), expression.size() > 100 ? "..." : "", "\"");
  compiled->exit_code = code;
  try {
    compiled->code = pcre2_compiled(expression, kOptions);
  } catch (const std::invalid_argument& malformed) {
    throw compiled->error(malformed.what());
  }
  pcre2_set_match_limit(compiled->limits.get(), kMostSteps);
  pcre2_set_heap_limit(compiled->limits.get(), kMostHeapKib);
  compiled_ = std::move(compiled);
}

PathPattern PathPattern::at_end(const std::string& expression, const std::string& place, ExitCode code) {
  const PathPattern alone(expression, place, code);  // its errors show the expression as it was written
  return PathPattern(cat("(?:.*\\.)?(?:", expression, ")"), place, code);
}

bool PathPattern::matches(const std::string& path) const {
  const Pcre2Owner<pcre2_match_data> data(pcre2_match_data_create(1, nullptr));
  const int found = pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(path.data()), path.size(),
                                0, 0, data.get(), compiled_->limits.get());
  if (found < 0 && found != PCRE2_ERROR_NOMATCH) throw compiled_->error(pcre2_message(found));
  return found >= 0;
}

}  // namespace lora
