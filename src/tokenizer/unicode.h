#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lora {

/// The character at `at` of valid UTF-8; `at` moves behind it.
char32_t next_char(std::string_view text, std::size_t& at);
/// Where the character that ends before `end` begins.
std::size_t char_begin(std::string_view text, std::size_t end);
void append_utf8(std::string& out, char32_t c);
std::string to_utf8(char32_t c);
std::size_t count_chars(std::string_view text);
bool is_ascii(std::string_view text);

/// Every maximal part of an ill-formed sequence becomes one U+FFFD (Unicode 3.9, "best practice").
std::string replace_invalid_utf8(std::string_view bytes);

bool is_white_space(char32_t c);      ///< property White_Space
bool is_punctuation(char32_t c);      ///< category P
bool is_number(char32_t c);           ///< category N
bool is_letter(char32_t c);           ///< category L
bool is_combining_mark(char32_t c);   ///< category M
bool is_nonspacing_mark(char32_t c);  ///< category Mn
bool is_control_like(char32_t c);     ///< categories Cc, Cf and Co
bool is_word_char(char32_t c);        ///< \w of UTS 18: Alphabetic, M, Nd, Pc, Join_Control

/// Appends the full lower-case mapping of `c`, without context.
void append_lower(std::string& out, char32_t c);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
std::string to_normal_form(std::string_view text, NormalForm form);

/// End of the extended grapheme cluster (UAX 29) that begins at `begin`.
std::size_t grapheme_end(std::string_view text, std::size_t begin);

}  // namespace lora
