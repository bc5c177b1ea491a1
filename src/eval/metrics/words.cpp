#include "eval/metrics/words.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <string_view>

#include "tokenizer/unicode.h"

namespace lora {
namespace {

using CharTest = bool (*)(char);

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// Every non-overlapping pair of such characters, from the left, with spaces before, between and behind it.
std::string separate_pairs(const std::string& text, CharTest first, CharTest second, bool space_before,
                           bool space_behind) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i + 1 < text.size() && first(text[i]) && second(text[i + 1])) {
      if (space_before) out += ' ';
      out += text[i];
      out += ' ';
      out += text[++i];
      if (space_behind) out += ' ';
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string surround(const std::string& text, CharTest which) {
  std::string out;
  for (const char c : text) {
    if (which(c))
      (out += ' ') += c, out += ' ';
    else
      out += c;
  }
  return out;
}

}  // namespace

NgramCounts count_ngrams(const Words& words, std::size_t longest) {
  NgramCounts counts;
  for (std::size_t begin = 0; begin < words.size(); ++begin) {
    Words ngram;
    for (std::size_t end = begin; end < std::min(words.size(), begin + longest); ++end) {
      ngram.push_back(words[end]);
      ++counts[ngram];
    }
  }
  return counts;
}

NgramCounts largest_counts(const std::vector<Words>& texts, std::size_t longest) {
  NgramCounts largest;
  for (const Words& words : texts) {
    for (const auto& [ngram, count] : count_ngrams(words, longest))
      largest[ngram] = std::max(largest[ngram], count);
  }
  return largest;
}

int count_of(const NgramCounts& counts, const Words& ngram) {
  const auto found = counts.find(ngram);
  return found == counts.end() ? 0 : found->second;
}

std::string lower_case(const std::string& text) {
  std::string out;
  const std::string valid = replace_invalid_utf8(text);
  for (std::size_t at = 0; at < valid.size();) append_lower(out, next_char(valid, at));
  return out;
}

Words split_words(const std::string& text) {
  Words words(1);
  const std::string valid = replace_invalid_utf8(text);
  for (std::size_t at = 0; at < valid.size();) {
    const char32_t c = next_char(valid, at);
    if (!is_white_space(c) && !(c >= 0x1c && c <= 0x1f))
      append_utf8(words.back(), c);
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

Words words_13a(const std::string& text) {
  std::string line = text;
  replace_all(line, "<skipped>", "");
  replace_all(line, "-\n", "");
  replace_all(line, "\n", " ");
  replace_all(line, "&quot;", "\"");
  replace_all(line, "&amp;", "&");
  replace_all(line, "&lt;", "<");
  replace_all(line, "&gt;", ">");
  line = " " + line + " ";
  const auto is_symbol = [](char c) {
    return is_ascii_punctuation(c) && c != '\'' && c != ',' && c != '-' && c != '.';
  };
  const auto is_point = [](char c) { return c == '.' || c == ','; };
  const auto is_no_digit = [](char c) { return !is_digit(c); };
  line = surround(line, is_symbol);
  line = separate_pairs(line, is_no_digit, is_point, false, true);
  line = separate_pairs(line, is_point, is_no_digit, true, false);
  line = separate_pairs(line, is_digit, [](char c) { return c == '-'; }, false, true);
  return split_words(line);
}

Words words_coco(const std::string& text) {
  static const std::set<std::string> kDropped{"''", "'",  "``", "`", "-lrb-", "-rrb-", "-lcb-", "-rcb-",
                                              ".",  "?",  "!",  ",", ":",     "-",     "--",    "...",
                                              ";",  "\"", "(",  ")", "[",     "]",     "{",     "}"};
  static constexpr std::array<std::string_view, 7> kClitics{"n't", "'s", "'m", "'d", "'ll", "'re", "'ve"};
  const auto is_apart = [](char c) {
    return is_ascii_punctuation(c) && c != '\'' && c != '-' && c != '.' && c != ',';
  };
  std::string line = surround(" " + lower_case(text) + " ", is_apart);
  for (const std::string_view currency : {"£", "€", "¥", "¢"})
    replace_all(line, currency, " " + std::string(currency) + " ");
  const auto is_comma = [](char c) { return c == ','; };
  const auto is_no_digit = [](char c) { return !is_digit(c); };
  line = separate_pairs(line, is_no_digit, is_comma, false, true);
  line = separate_pairs(line, is_comma, is_no_digit, true, false);
  Words words;
  for (std::string word : split_words(line)) {
    while (word.size() > 1 && (word.front() == '\'' || word.front() == '.') && !is_digit(word[1]))
      word.erase(0, 1);
    std::vector<std::string> behind;
    if (word.size() > 1 && word.back() == '.') word.pop_back();
    if (word.size() > 1 && word.back() == '\'') word.pop_back();
    for (const std::string_view clitic : kClitics) {
      if (word.size() > clitic.size() && word.ends_with(clitic)) {
        behind.emplace_back(clitic);
        word.resize(word.size() - clitic.size());
        break;
      }
    }
    if (!kDropped.count(word) && !word.empty()) words.push_back(word);
    words.insert(words.end(), behind.begin(), behind.end());
  }
  return words;
}

Words words_rouge(const std::string& text) {
  std::string line = lower_case(text);
  for (char& c : line) {
    if (!is_ascii_letter(c) && !is_digit(c)) c = ' ';
  }
  return split_words(line);
}

Words words_squad(const std::string& text) {
  std::string line;
  for (const char c : lower_case(text)) {
    if (!is_ascii_punctuation(c)) line += c;
  }
  std::string kept, run;
  const auto end_run = [&] {
    kept += run == "a" || run == "an" || run == "the" ? " " : run;
    run.clear();
  };
  for (std::size_t at = 0; at < line.size();) {
    const char32_t c = next_char(line, at);
    if (is_letter(c) || is_number(c)) {
      append_utf8(run, c);
    } else {
      end_run();
      append_utf8(kept, c);
    }
  }
  end_run();
  return split_words(kept);
}

}  // namespace lora
