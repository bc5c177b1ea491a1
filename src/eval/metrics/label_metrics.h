#pragma once

#include <cstdint>
#include <vector>

#include "eval/metrics/text_metric.h"

namespace lora {

/// What measures of classes need to know of an example; those of a set are the sums. For each class {rightly
/// predicted, there, predicted}, then 1. `truth`: -1 for none of the classes.
Statistics class_counts(std::int64_t truth, std::int64_t predicted, std::size_t classes);

/// As scikit-learn, of summed counts.
double accuracy(const Statistics& counts);
/// 0 where the class is neither there nor predicted.
double f1_of_class(const Statistics& counts, std::size_t label);
/// Mean over the classes that are there or predicted.
double f1_macro(const Statistics& counts);
/// Of the decisions of all classes together.
double f1_micro(const Statistics& counts);
/// Matthews' correlation coefficient for any number of classes; 0 if a margin is empty. Rows of none of the
/// classes are a class of their own.
double matthews(const Statistics& counts);

/// For each pair {1, a, b, aa, bb, ab} with both measured from the mean of `truth`.
std::vector<Statistics> moments(const std::vector<double>& truth, const std::vector<double>& predicted);
/// Pearson's correlation of summed moments; 0 if one side does not vary.
double correlation(const Statistics& moments);
/// Places in the sorted order from 0, ties with their mean: Spearman's correlation is that of the ranks.
std::vector<double> ranks(const std::vector<double>& values);

/// For each of ten equal bins of confidence (left open) rightness (1 or 0) minus confidence, then 1.
Statistics calibration_bins(double confidence, bool right);
/// Expected calibration error (Guo et al. 2017) of summed bins: the mean of |accuracy - confidence| of bins,
/// weighted by examples.
double calibration_error(const Statistics& bins);

}  // namespace lora
