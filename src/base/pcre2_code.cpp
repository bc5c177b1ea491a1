#include "base/pcre2_code.h"

#include <stdexcept>

#include "lora/base/text.h"

namespace lora {

std::string pcre2_message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

Pcre2Owner<pcre2_code> pcre2_compiled(const std::string& pattern, std::uint32_t options) {
  const Pcre2Owner<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_max_pattern_length(context.get(), 64 << 10);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Pcre2Owner<pcre2_code> code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                            options | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                                            context.get()));
  if (code == nullptr) throw std::invalid_argument(cat(pcre2_message(error), " at offset ", offset));
  return code;
}

}  // namespace lora
