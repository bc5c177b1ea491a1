#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "eval/quality_measures.h"
#include "support/catch.h"

using namespace lora;

/// The measures by their plain definitions, over vectors.
namespace plain {

using Labels = std::vector<std::int64_t>;

std::set<std::int64_t> all_labels(const Labels& truth, const Labels& predicted) {
  std::set<std::int64_t> labels(truth.begin(), truth.end());
  labels.insert(predicted.begin(), predicted.end());
  return labels;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double accuracy(const Labels& truth, const Labels& predicted) {
  double right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) right += truth[i] == predicted[i];
  return right / static_cast<double>(truth.size());
}

double f1_of_class(const Labels& truth, const Labels& predicted, std::int64_t label) {
  double both = 0, either = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    both += truth[i] == label && predicted[i] == label;
    either += (truth[i] == label) + (predicted[i] == label);
  }
  return either > 0 ? 2 * both / either : 0;
}

double f1_macro(const Labels& truth, const Labels& predicted) {
  std::vector<double> each;
  for (const std::int64_t label : all_labels(truth, predicted))
    each.push_back(f1_of_class(truth, predicted, label));
  return mean(each);
}

double matthews(const Labels& truth, const Labels& predicted) {
  const auto count = static_cast<double>(truth.size());
  double agreement = accuracy(truth, predicted) * count * count, true_squares = 0, predicted_squares = 0;
  for (const std::int64_t label : all_labels(truth, predicted)) {
    const auto t = static_cast<double>(std::count(truth.begin(), truth.end(), label));
    const auto p = static_cast<double>(std::count(predicted.begin(), predicted.end(), label));
    agreement -= t * p;
    true_squares += t * t;
    predicted_squares += p * p;
  }
  const double scale = std::sqrt(count * count - true_squares) * std::sqrt(count * count - predicted_squares);
  return scale > 0 ? agreement / scale : 0;
}

double calibration_error(const std::vector<double>& confidence, const std::vector<bool>& right,
                         int bins = 10) {
  const auto count = static_cast<std::size_t>(bins);
  std::vector<double> difference(count, 0.0);
  for (std::size_t i = 0; i < confidence.size(); ++i) {
    const double place = std::ceil(confidence[i] * bins) - 1;
    const auto bin = static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(bins - 1)));
    difference[bin] += (right[i] ? 1.0 : 0.0) - confidence[i];
  }
  double sum = 0;
  for (const double each : difference) sum += std::abs(each);
  return sum / static_cast<double>(confidence.size());
}

}  // namespace plain

namespace {

/// Rows of three classes with their predictions and confidences.
Quality sample(int shift) {
  Quality quality;
  for (int i = 0; i < 60; ++i) {
    RowOutcome row;
    row.loss = 0.1 * i;
    row.labelled = 1 + i % 3;
    row.truth = i % 3;
    row.predicted = (i * i + shift) % 3;
    row.confidence = 0.4 + 0.01 * (i % 50);
    quality.outcomes.push_back(row);
  }
  return quality;
}

double value_of(const std::vector<Measure>& measures, const std::string& name) {
  for (const Measure& measure : measures) {
    if (measure.name == name) return measure.value;
  }
  throw std::out_of_range(name);
}

}  // namespace

TEST_CASE("quality measures: sums over rows give what the plain definitions give") {
  const Quality quality = sample(0);
  std::vector<std::int64_t> truth, predicted;
  std::vector<double> confidence;
  std::vector<bool> right;
  double loss = 0, labelled = 0;
  for (const RowOutcome& row : quality.outcomes) {
    truth.push_back(row.truth);
    predicted.push_back(row.predicted);
    confidence.push_back(row.confidence);
    right.push_back(row.truth == row.predicted);
    loss += row.loss;
    labelled += static_cast<double>(row.labelled);
  }
  const auto measures = measures_of(quality, nullptr, {"a", "b", "c"}, 0);
  CHECK(value_of(measures, "loss") == Catch::Detail::Approx(loss / labelled));
  CHECK(value_of(measures, "accuracy") == Catch::Detail::Approx(plain::accuracy(truth, predicted)));
  CHECK(value_of(measures, "f1_micro") ==
        Catch::Detail::Approx(value_of(measures, "accuracy")));  // one class a row
  CHECK(value_of(measures, "f1_macro") == Catch::Detail::Approx(plain::f1_macro(truth, predicted)));
  CHECK(value_of(measures, "matthews") == Catch::Detail::Approx(plain::matthews(truth, predicted)));
  CHECK(value_of(measures, "calibration_error") ==
        Catch::Detail::Approx(plain::calibration_error(confidence, right)));
  CHECK(value_of(measures, "f1:b") == Catch::Detail::Approx(plain::f1_of_class(truth, predicted, 1)));
  CHECK_FALSE(measures[0].interval);
}

TEST_CASE("quality measures: intervals hold the value, equal models do not differ") {
  const Quality quality = sample(0), other = sample(1);
  for (const Measure& measure : measures_of(quality, &quality, {"a", "b", "c"}, 300)) {
    if (!measure.interval) continue;
    INFO(measure.name);
    CHECK(measure.interval->low <= measure.value);
    CHECK(measure.interval->high >= measure.value * (measure.name == "calibration_error" ? 0 : 1));
    CHECK(*measure.p_value == 1);
  }
  CHECK(*measures_of(other, &quality, {"a", "b", "c"}, 300)[1].p_value < 0.2);
}

TEST_CASE(
    "quality measures: rows without classes have a loss only; labels that are none of the words count as "
    "wrong") {
  Quality plain;
  plain.outcomes = {{1, 2.0, 4}, {2, 1.0, 2}};
  const auto measures = measures_of(plain, nullptr, {}, 0);
  REQUIRE(measures.size() == 1);
  CHECK(measures[0].value == Catch::Detail::Approx(0.5));
  Quality foreign = sample(0);
  for (RowOutcome& row : foreign.outcomes) row.truth = -1;
  CHECK(value_of(measures_of(foreign, nullptr, {"a", "b", "c"}, 0), "accuracy") == 0);
}
