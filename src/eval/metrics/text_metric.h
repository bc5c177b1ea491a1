#pragma once

#include <memory>
#include <string>
#include <vector>

#include "eval/metrics/words.h"

namespace lora {

/// A text and what it is compared with. At least one reference.
struct ScoredText {
  std::string prediction;
  std::vector<std::string> references;
};

/// What a metric needs to know of one text; the statistics of a set are the sums over its texts.
using Statistics = std::vector<double>;

/// A measure of texts by their references, in double throughout.
class TextMetric {
 public:
  virtual ~TextMetric() = default;

  virtual std::string name() const = 0;
  /// Largest possible value: 1 or 100; 0 if there is none.
  virtual double scale() const = 0;
  /// Definition and source in a line.
  virtual std::string definition() const = 0;
  virtual bool higher_is_better() const { return true; }
  int digits() const { return scale() == 1 ? 4 : 2; }  ///< that people are shown

  /// One row for each text. What a metric takes from the whole set (information, document frequency) is that
  /// of `texts`.
  virtual std::vector<Statistics> statistics(const std::vector<ScoredText>& texts) const = 0;
  virtual double value(const Statistics& sum) const = 0;

  /// Of the whole set.
  double score(const std::vector<ScoredText>& texts) const;
};

/// Statistics {score, 1}: the mean of scores of single texts.
class MeanMetric : public TextMetric {
 public:
  double scale() const override { return 1; }
  std::vector<Statistics> statistics(const std::vector<ScoredText>& texts) const override;
  double value(const Statistics& sum) const override { return sum[1] > 0 ? sum[0] / sum[1] : 0; }

 protected:
  virtual double text_score(const ScoredText& text) const = 0;
};

/// The mean over texts of the score with the best of their references.
class BestReferenceMetric : public MeanMetric {
 protected:
  double text_score(const ScoredText& text) const final;
  virtual Words words(const std::string& text) const = 0;
  virtual double pair_score(const Words& prediction, const Words& reference) const = 0;
};

/// Sum of rows. All have the same length.
Statistics sum_of(const std::vector<Statistics>& rows);

/// The metrics by name; usage error with the nearest name if there is none.
const TextMetric& find_text_metric(const std::string& name);
std::vector<std::string> text_metric_names();

}  // namespace lora
