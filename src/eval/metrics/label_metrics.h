#pragma once

#include <cstdint>
#include <vector>

namespace lora {

/// Measures of predicted against true class numbers (0, 1, ...), as scikit-learn. Vectors of equal length, at
/// least one.
double accuracy(const std::vector<std::int64_t>& truth, const std::vector<std::int64_t>& predicted);
/// F1 of one class; 0 where it is neither there nor predicted.
double f1_of_class(const std::vector<std::int64_t>& truth, const std::vector<std::int64_t>& predicted,
                   std::int64_t label);
/// Mean over the classes that are there or predicted.
double f1_macro(const std::vector<std::int64_t>& truth, const std::vector<std::int64_t>& predicted);
/// Over all decisions; equals accuracy where every example has one class.
double f1_micro(const std::vector<std::int64_t>& truth, const std::vector<std::int64_t>& predicted);
/// Matthews' correlation coefficient for any number of classes; 0 if a margin is empty.
double matthews(const std::vector<std::int64_t>& truth, const std::vector<std::int64_t>& predicted);

/// Pearson's correlation; NaN if one side does not vary.
double pearson(const std::vector<double>& a, const std::vector<double>& b);
/// Of the ranks, ties with their mean rank.
double spearman(const std::vector<double>& a, const std::vector<double>& b);

/// Expected calibration error (Guo et al. 2017): over `bins` equal bins of confidence (left open), the mean
/// of |accuracy - confidence|, weighted by examples.
double calibration_error(const std::vector<double>& confidence, const std::vector<bool>& right,
                         int bins = 10);

}  // namespace lora
