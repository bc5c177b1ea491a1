#pragma once

#include <cstdint>
#include <memory>
#include <string>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace lora {

struct Pcre2Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

template <class T>
using Pcre2Owner = std::unique_ptr<T, Pcre2Free>;

/// What PCRE2 says of one of its error codes.
std::string pcre2_message(int code);

/// `pattern` compiled with PCRE2's `options`, lines ending in \n; std::invalid_argument if it is malformed,
/// longer than 64 KiB, or nested or repeated beyond PCRE2's limits.
Pcre2Owner<pcre2_code> pcre2_compiled(const std::string& pattern, std::uint32_t options);

}  // namespace lora
