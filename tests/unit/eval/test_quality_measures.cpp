#include "eval/metrics/label_metrics.h"
#include "eval/quality_measures.h"
#include "support/catch.h"

using namespace lora;

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
  CHECK(value_of(measures, "accuracy") == Catch::Detail::Approx(accuracy(truth, predicted)));
  CHECK(value_of(measures, "f1_macro") == Catch::Detail::Approx(f1_macro(truth, predicted)));
  CHECK(value_of(measures, "matthews") == Catch::Detail::Approx(matthews(truth, predicted)));
  CHECK(value_of(measures, "calibration_error") ==
        Catch::Detail::Approx(calibration_error(confidence, right)));
  CHECK(value_of(measures, "f1:b") == Catch::Detail::Approx(f1_of_class(truth, predicted, 1)));
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
