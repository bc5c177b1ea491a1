#include "eval/metrics/ter.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "eval/metrics/words.h"

namespace lora {
namespace {

// Tercom's limits.
constexpr int kBeam = 25, kLongestShift = 10, kFarthestShift = 50, kMostCandidates = 1000;
constexpr int kUnreached = 1 << 28;

enum class Edit : char { none, keep, substitute, insert, drop };

/// The cheapest edits from one text to a reference, and what they align.
struct Alignment {
  int edits = 0;
  std::vector<bool> text_wrong, reference_wrong;  ///< words that an edit touches
  std::vector<int> place;  ///< of each reference word: the text's word, -1 before the first
};

/// Levenshtein distance within a beam around the diagonal; of equally cheap edits a kept or substituted word
/// comes first, then a dropped, then an inserted one.
Alignment align(const Words& text, const Words& reference) {
  const int rows = static_cast<int>(text.size()), columns = static_cast<int>(reference.size());
  std::vector<std::vector<int>> cost(static_cast<std::size_t>(rows + 1),
                                     std::vector<int>(static_cast<std::size_t>(columns + 1), kUnreached));
  std::vector<std::vector<Edit>> edit(static_cast<std::size_t>(rows + 1),
                                      std::vector<Edit>(static_cast<std::size_t>(columns + 1), Edit::none));
  const auto at = [](auto& table, int i, int j) -> auto& {
    return table[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
  };
  for (int j = 0; j <= columns; ++j) {
    at(cost, 0, j) = j;
    at(edit, 0, j) = Edit::insert;
  }
  const double ratio = rows > 0 ? static_cast<double>(columns) / rows : 1;
  const int beam = ratio / 2 > kBeam ? static_cast<int>(std::ceil(ratio / 2 + kBeam)) : kBeam;
  for (int i = 1; i <= rows; ++i) {
    const int diagonal = static_cast<int>(std::floor(i * ratio));
    const int first = std::max(0, diagonal - beam);
    const int end = i == rows ? columns + 1 : std::min(columns + 1, diagonal + beam);
    for (int j = first; j < end; ++j) {
      const auto offer = [&](int price, Edit kind) {
        if (price >= at(cost, i, j)) return;
        at(cost, i, j) = price;
        at(edit, i, j) = kind;
      };
      if (j > 0) {
        const bool same = text[static_cast<std::size_t>(i - 1)] == reference[static_cast<std::size_t>(j - 1)];
        offer(at(cost, i - 1, j - 1) + (same ? 0 : 1), same ? Edit::keep : Edit::substitute);
      }
      offer(at(cost, i - 1, j) + 1, Edit::drop);
      if (j > 0) offer(at(cost, i, j - 1) + 1, Edit::insert);
    }
  }
  Alignment alignment{at(cost, rows, columns), std::vector<bool>(text.size(), true),
                      std::vector<bool>(reference.size(), true), std::vector<int>(reference.size(), -1)};
  for (int i = rows, j = columns; i > 0 || j > 0;) {
    const Edit kind = at(edit, i, j);
    const bool pairs = kind == Edit::keep || kind == Edit::substitute;
    if (pairs || kind == Edit::drop) --i;
    if (pairs || kind == Edit::insert) alignment.place[static_cast<std::size_t>(--j)] = pairs ? i : i - 1;
    if (kind != Edit::keep) continue;
    alignment.text_wrong[static_cast<std::size_t>(i)] = false;
    alignment.reference_wrong[static_cast<std::size_t>(j)] = false;
  }
  return alignment;
}

/// The words with those from `begin` on moved in front of what was word `target`.
Words shifted(const Words& words, int begin, int length, int target) {
  const auto at = [&](int i) { return words.begin() + i; };
  Words out;
  const auto append = [&](int from, int to) { out.insert(out.end(), at(from), at(std::max(from, to))); };
  const int count = static_cast<int>(words.size());
  if (target < begin) {
    append(0, target);
    append(begin, begin + length);
    append(target, begin);
    append(begin + length, count);
  } else if (target > begin + length) {
    append(0, begin);
    append(begin + length, target);
    append(begin, begin + length);
    append(target, count);
  } else {  // inside: behind as many words as it is long
    const int end = std::min(count, length + target);
    append(0, begin);
    append(begin + length, end);
    append(begin, begin + length);
    append(end, count);
  }
  return out;
}

/// Greedy search for the shifts of one text.
class Shifts {
 public:
  explicit Shifts(const Words& reference) : reference_(reference) {}

  double edits(Words text) {
    int shifts = 0;
    for (;;) {
      const std::optional<Candidate> best = best_shift(text);
      if (checked_ >= kMostCandidates || !best || std::get<0>(*best) <= 0) break;
      ++shifts;
      text = std::get<4>(*best);
    }
    return shifts + align(text, reference_).edits;
  }

 private:
  /// Saved edits, length, -begin, -target, words: the largest wins.
  using Candidate = std::tuple<int, int, int, int, Words>;

  std::optional<Candidate> best_shift(const Words& text) {
    const Alignment now = align(text, reference_);
    std::optional<Candidate> best;
    const int words = static_cast<int>(text.size()), others = static_cast<int>(reference_.size());
    for (int begin = 0; begin < words; ++begin) {
      for (int other = 0; other < others; ++other) {
        if (std::abs(other - begin) > kFarthestShift) continue;
        for (int length = 1; length <= kLongestShift && begin + length <= words && other + length <= others;
             ++length) {
          if (text[static_cast<std::size_t>(begin + length - 1)] !=
              reference_[static_cast<std::size_t>(other + length - 1)])
            break;
          try_targets(text, now, begin, other, length, best);
          if (checked_ >= kMostCandidates) return best;
        }
      }
    }
    return best;
  }

  static bool any(const std::vector<bool>& flags, int begin, int length) {
    return std::any_of(flags.begin() + begin, flags.begin() + begin + length, [](bool flag) { return flag; });
  }

  void try_targets(const Words& text, const Alignment& now, int begin, int other, int length,
                   std::optional<Candidate>& best) {
    if (!any(now.text_wrong, begin, length) || !any(now.reference_wrong, other, length)) return;
    const int place = now.place[static_cast<std::size_t>(other)];
    if (begin <= place && place < begin + length) return;
    int last = -1;
    for (int offset = -1; offset < length; ++offset) {
      const int at = other + offset;
      if (at >= static_cast<int>(now.place.size())) break;
      const int target = at < 0 ? 0 : now.place[static_cast<std::size_t>(at)] + 1;
      if (target == last) continue;
      last = target;
      Words moved = shifted(text, begin, length, target);
      const int saved = now.edits - align(moved, reference_).edits;
      ++checked_;
      Candidate candidate{saved, length, -begin, -target, std::move(moved)};
      if (!best || candidate > *best) best = std::move(candidate);
    }
  }

  const Words& reference_;
  int checked_ = 0;
};

}  // namespace

std::vector<Statistics> Ter::statistics(const std::vector<ScoredText>& texts) const {
  std::vector<Statistics> rows;
  for (const ScoredText& text : texts) {
    const Words words = split_words(lower_case(text.prediction));
    double fewest = INFINITY, length = 0;
    for (const std::string& reference : text.references) {
      const Words expected = split_words(lower_case(reference));
      length += static_cast<double>(expected.size());
      fewest = std::min(fewest,
                        expected.empty() ? static_cast<double>(words.size()) : Shifts(expected).edits(words));
    }
    rows.push_back({fewest, length / static_cast<double>(text.references.size())});
  }
  return rows;
}

double Ter::value(const Statistics& sum) const {
  if (sum[1] > 0) return 100 * sum[0] / sum[1];
  return sum[0] > 0 ? 100 : 0;
}

}  // namespace lora
