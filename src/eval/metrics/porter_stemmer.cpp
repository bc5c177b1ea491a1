#include "eval/metrics/porter_stemmer.h"

#include <string_view>
#include <vector>

#include "tokenizer/unicode.h"

namespace lora {
namespace {

using Letters = std::u32string;
using View = std::u32string_view;

/// A suffix, what comes in its place, and letters of which one must precede it (none: any).
struct Rule {
  View suffix, replacement, behind = U"";
};

constexpr Rule kPlurals[] = {{U"sses", U"ss"}, {U"ies", U"i"}, {U"ss", U"ss"}, {U"s", U""}};
constexpr Rule kDoubleSuffixes[] = {
    {U"ational", U"ate"}, {U"tional", U"tion"}, {U"enci", U"ence"}, {U"anci", U"ance"}, {U"izer", U"ize"},
    {U"bli", U"ble"},     {U"alli", U"al"},     {U"entli", U"ent"}, {U"eli", U"e"},     {U"ousli", U"ous"},
    {U"ization", U"ize"}, {U"ation", U"ate"},   {U"ator", U"ate"},  {U"alism", U"al"},  {U"iveness", U"ive"},
    {U"fulness", U"ful"}, {U"ousness", U"ous"}, {U"aliti", U"al"},  {U"iviti", U"ive"}, {U"biliti", U"ble"},
    {U"logi", U"log"}};
constexpr Rule kLastButOne[] = {{U"icate", U"ic"}, {U"ative", U""}, {U"alize", U"al"}, {U"iciti", U"ic"},
                                {U"ical", U"ic"},  {U"ful", U""},   {U"ness", U""}};
constexpr Rule kEndings[] = {{U"al", U""},    {U"ance", U""}, {U"ence", U""}, {U"er", U""},
                             {U"ic", U""},    {U"able", U""}, {U"ible", U""}, {U"ant", U""},
                             {U"ement", U""}, {U"ment", U""}, {U"ent", U""},  {U"ion", U"", U"st"},
                             {U"ou", U""},    {U"ism", U""},  {U"ate", U""},  {U"iti", U""},
                             {U"ous", U""},   {U"ive", U""},  {U"ize", U""}};

/// For each letter whether it is a consonant: none of a, e, i, o, u, and no y behind a consonant.
std::vector<bool> consonants(View word) {
  std::vector<bool> flags;
  for (const char32_t letter : word) {
    const bool vowel = View(U"aeiou").find(letter) != View::npos;
    flags.push_back(letter == U'y' ? flags.empty() || !flags.back() : !vowel);
  }
  return flags;
}

/// m of [C](VC)^m[V].
int measure(View stem) {
  const auto flags = consonants(stem);
  int count = 0;
  for (std::size_t i = 1; i < flags.size(); ++i) count += flags[i] && !flags[i - 1];
  return count;
}

bool has_vowel(View stem) {
  for (const bool consonant : consonants(stem)) {
    if (!consonant) return true;
  }
  return false;
}

bool ends_in_double_consonant(View word) {
  return word.size() > 1 && word.back() == word[word.size() - 2] && consonants(word).back();
}

/// Consonant, vowel, consonant other than w, x and y.
bool ends_short(View word) {
  const auto flags = consonants(word);
  const std::size_t size = flags.size();
  return size > 2 && flags[size - 3] && !flags[size - 2] && flags[size - 1] &&
         View(U"wxy").find(word.back()) == View::npos;
}

View without(const Letters& word, View suffix) { return View(word).substr(0, word.size() - suffix.size()); }

/// Applies the first rule whose suffix the word has, if the measure of what precedes is large enough.
template <std::size_t count>
void apply(Letters& word, const Rule (&rules)[count], int least_measure) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    const View stem = without(word, rule.suffix);
    const bool fits = rule.behind.empty() || (!stem.empty() && rule.behind.find(stem.back()) != View::npos);
    if (fits && measure(stem) >= least_measure) word = Letters(stem).append(rule.replacement);
    return;
  }
}

/// Takes -ed and -ing away, and mends what is left: hop(p)ing, fil(e)ing, siz(e)ed.
void drop_past_and_gerund(Letters& word) {
  if (word.ends_with(U"eed")) {
    if (measure(without(word, U"eed")) > 0) word.pop_back();
    return;
  }
  const View suffix = word.ends_with(U"ed") ? U"ed" : word.ends_with(U"ing") ? U"ing" : U"";
  if (suffix.empty() || !has_vowel(without(word, suffix))) return;
  word.resize(word.size() - suffix.size());
  if (word.ends_with(U"at") || word.ends_with(U"bl") || word.ends_with(U"iz")) {
    word += U'e';
  } else if (ends_in_double_consonant(word)) {
    if (View(U"lsz").find(word.back()) == View::npos) word.pop_back();
  } else if (measure(word) == 1 && ends_short(word)) {
    word += U'e';
  }
}

void drop_last_e_and_l(Letters& word) {
  if (word.ends_with(U"e")) {
    const View stem = without(word, U"e");
    const int m = measure(stem);
    if (m > 1 || (m == 1 && !ends_short(stem))) word.pop_back();
  }
  if (word.ends_with(U"ll") && measure(without(word, U"l")) > 1) word.pop_back();
}

}  // namespace

std::string porter_stem(const std::string& word) {
  Letters stem;
  for (std::size_t at = 0; at < word.size();) stem += next_char(word, at);
  if (stem.size() <= 2) return word;
  apply(stem, kPlurals, 0);
  drop_past_and_gerund(stem);
  if (stem.ends_with(U"y") && has_vowel(without(stem, U"y"))) stem.back() = U'i';
  apply(stem, kDoubleSuffixes, 1);
  apply(stem, kLastButOne, 1);
  apply(stem, kEndings, 2);
  drop_last_e_and_l(stem);
  std::string text;
  for (const char32_t letter : stem) append_utf8(text, letter);
  return text;
}

}  // namespace lora
