#include "eval/metrics/label_metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lora {
namespace {

constexpr int kBins = 10;
constexpr double kRounding = 1e-13;  ///< relative; of sums that should be equal

std::size_t classes_of(const Statistics& counts) { return counts.size() / 3; }
double right(const Statistics& counts, std::size_t label) { return counts[3 * label]; }
double there(const Statistics& counts, std::size_t label) { return counts[3 * label + 1]; }
double predicted(const Statistics& counts, std::size_t label) { return counts[3 * label + 2]; }

template <class Term>
double sum_over_classes(const Statistics& counts, Term term) {
  double sum = 0;
  for (std::size_t label = 0; label < classes_of(counts); ++label) sum += term(counts, label);
  return sum;
}

double either(const Statistics& counts, std::size_t label) {
  return there(counts, label) + predicted(counts, label);
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

Statistics class_counts(std::int64_t truth, std::int64_t predicted, std::size_t classes) {
  Statistics counts(3 * classes + 1, 0.0);
  counts.back() = 1;
  if (truth >= 0) counts[3 * static_cast<std::size_t>(truth) + 1] = 1;
  counts[3 * static_cast<std::size_t>(predicted) + 2] = 1;
  if (truth == predicted) counts[3 * static_cast<std::size_t>(truth)] = 1;
  return counts;
}

double accuracy(const Statistics& counts) { return sum_over_classes(counts, right) / counts.back(); }

double f1_of_class(const Statistics& counts, std::size_t label) {
  return either(counts, label) > 0 ? 2 * right(counts, label) / either(counts, label) : 0;
}

double f1_macro(const Statistics& counts) {
  const double seen = sum_over_classes(
      counts, [](const Statistics& all, std::size_t label) { return either(all, label) > 0 ? 1.0 : 0.0; });
  return seen > 0 ? sum_over_classes(counts, f1_of_class) / seen : 0;
}

double f1_micro(const Statistics& counts) {
  return 2 * sum_over_classes(counts, right) / sum_over_classes(counts, either);
}

double matthews(const Statistics& counts) {
  const double rows = counts.back();
  const auto sum_of_products = [&](auto a, auto b) {
    return sum_over_classes(
        counts, [&](const Statistics& all, std::size_t label) { return a(all, label) * b(all, label); });
  };
  const double others = rows - sum_over_classes(counts, there);  // a class that nobody predicts
  const double scale = std::sqrt(rows * rows - sum_of_products(there, there) - others * others) *
                       std::sqrt(rows * rows - sum_of_products(predicted, predicted));
  return scale > 0 ? (sum_over_classes(counts, right) * rows - sum_of_products(there, predicted)) / scale : 0;
}

std::vector<Statistics> moments(const std::vector<double>& truth, const std::vector<double>& predicted) {
  const double origin = mean(truth);
  std::vector<Statistics> rows;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double a = truth[i] - origin, b = predicted[i] - origin;
    rows.push_back({1, a, b, a * a, b * b, a * b});
  }
  return rows;
}

double correlation(const Statistics& moments) {
  const double count = moments[0], mean_a = moments[1] / count, mean_b = moments[2] / count;
  const auto deviation = [](double mean_square, double mean) {
    const double variance = mean_square - mean * mean;
    return variance > kRounding * mean_square ? std::sqrt(variance) : 0;
  };
  const double scale = deviation(moments[3] / count, mean_a) * deviation(moments[4] / count, mean_b);
  return scale > 0 ? (moments[5] / count - mean_a * mean_b) / scale : 0;
}

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + end - 1) / 2;
    begin = end;
  }
  return ranks;
}

Statistics calibration_bins(double confidence, bool right) {
  Statistics bins(kBins + 1, 0.0);
  bins.back() = 1;
  const double place = std::clamp(std::ceil(confidence * kBins) - 1, 0.0, kBins - 1.0);
  bins[static_cast<std::size_t>(place)] = (right ? 1.0 : 0.0) - confidence;
  return bins;
}

double calibration_error(const Statistics& bins) {
  double error = 0;
  for (std::size_t bin = 0; bin + 1 < bins.size(); ++bin) error += std::abs(bins[bin]);
  return error / bins.back();
}

}  // namespace lora
