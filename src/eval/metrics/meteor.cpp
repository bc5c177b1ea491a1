#include "eval/metrics/meteor.h"

#include <cmath>
#include <cstdint>
#include <map>

#include "eval/metrics/porter_stemmer.h"

namespace lora {
namespace {

constexpr double kAlpha = 0.9, kBeta = 3, kGamma = 0.5;
constexpr std::size_t kFree = SIZE_MAX;

/// For each word of a text the number of its partner in the other one.
using Partners = std::vector<std::size_t>;

/// One stage: pairs free words that are equal.
void pair_equal(const Words& prediction, const Words& reference, Partners& of_prediction,
                Partners& of_reference) {
  std::map<std::string, std::vector<std::size_t>> places;
  for (std::size_t j = 0; j < reference.size(); ++j) {
    if (of_reference[j] == kFree) places[reference[j]].push_back(j);
  }
  for (std::size_t i = prediction.size(); i-- > 0;) {
    const auto found = places.find(prediction[i]);
    if (of_prediction[i] != kFree || found == places.end() || found->second.empty()) continue;
    of_prediction[i] = found->second.back();
    of_reference[found->second.back()] = i;
    found->second.pop_back();
  }
}

Words stems(const Words& words) {
  Words stems;
  for (const std::string& word : words) stems.push_back(porter_stem(word));
  return stems;
}

}  // namespace

double Meteor::pair_score(const Words& prediction, const Words& reference) const {
  Partners of_prediction(prediction.size(), kFree), of_reference(reference.size(), kFree);
  pair_equal(prediction, reference, of_prediction, of_reference);
  pair_equal(stems(prediction), stems(reference), of_prediction, of_reference);
  double pairs = 0, chunks = 0;
  for (std::size_t i = 0; i < prediction.size(); ++i) {
    if (of_prediction[i] == kFree) continue;
    ++pairs;
    const bool follows =
        i > 0 && of_prediction[i - 1] != kFree && of_prediction[i] == of_prediction[i - 1] + 1;
    chunks += !follows;
  }
  if (pairs == 0) return 0;
  const double precision = pairs / static_cast<double>(prediction.size());
  const double recall = pairs / static_cast<double>(reference.size());
  const double f = precision * recall / (kAlpha * precision + (1 - kAlpha) * recall);
  return (1 - kGamma * std::pow(chunks / pairs, kBeta)) * f;
}

}  // namespace lora
