#pragma once

#include <map>
#include <string>
#include <vector>

namespace lora {

using Words = std::vector<std::string>;
using NgramCounts = std::map<Words, int>;

/// Of lengths 1 to `longest`.
NgramCounts count_ngrams(const Words& words, std::size_t longest);

/// Each n-gram's largest count in any of the texts.
NgramCounts largest_counts(const std::vector<Words>& texts, std::size_t longest);

/// 0 for one that is not there.
int count_of(const NgramCounts& counts, const Words& ngram);

std::string lower_case(const std::string& text);

/// Between white space.
Words split_words(const std::string& text);

/// WMT's tokenization 13a (mteval-v13a.pl, the default of sacreBLEU): entities resolved, punctuation and
/// symbols apart, full stops and commas apart unless between digits.
Words words_13a(const std::string& text);

/// As the MS-COCO caption code: lower case, Penn Treebank splits, punctuation dropped.
Words words_coco(const std::string& text);

/// As rouge_score without stemming: runs of a-z and 0-9 after lower-casing.
Words words_rouge(const std::string& text);

/// As SQuAD's evaluation: lower case, without ASCII punctuation, then a space for every run of letters and
/// numbers that is an article (a, an, the).
Words words_squad(const std::string& text);

}  // namespace lora
