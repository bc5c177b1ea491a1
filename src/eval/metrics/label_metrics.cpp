#include "eval/metrics/label_metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace lora {
namespace {

using Labels = std::vector<std::int64_t>;

std::set<std::int64_t> all_labels(const Labels& truth, const Labels& predicted) {
  std::set<std::int64_t> labels(truth.begin(), truth.end());
  labels.insert(predicted.begin(), predicted.end());
  return labels;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
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

}  // namespace

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

double f1_micro(const Labels& truth, const Labels& predicted) { return accuracy(truth, predicted); }

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

double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean_a = mean(a), mean_b = mean(b);
  double product = 0, square_a = 0, square_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += (a[i] - mean_a) * (b[i] - mean_b);
    square_a += (a[i] - mean_a) * (a[i] - mean_a);
    square_b += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return product / (std::sqrt(square_a) * std::sqrt(square_b));
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  return pearson(ranks(a), ranks(b));
}

double calibration_error(const std::vector<double>& confidence, const std::vector<bool>& right, int bins) {
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

}  // namespace lora
