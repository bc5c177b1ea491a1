#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/json.h"
#include "eval/metrics/bootstrap.h"
#include "eval/metrics/label_metrics.h"
#include "eval/metrics/text_metric.h"
#include "eval/metrics/words.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;

namespace {

/// The folder of metric fixtures; empty, with a warning, where it is absent.
std::filesystem::path fixtures() {
  const char* folder = std::getenv("LORA_SHARED_DATA");
  if (folder && std::filesystem::exists(std::filesystem::path(folder) / "metrics_basics"))
    return std::filesystem::path(folder) / "metrics_basics";
  WARN("skipped: LORA_SHARED_DATA does not name the folder of data sets");
  return {};
}

std::vector<ScoredText> texts_of(const std::filesystem::path& file) {
  std::vector<ScoredText> texts;
  for (const std::string& line : split(read_file(file), '\n')) {
    if (trim(line).empty()) continue;
    const Json row = Json::parse(line);
    texts.push_back(
        {row["completion"].get<std::string>(), row["references"].get<std::vector<std::string>>()});
  }
  return texts;
}

bool is_near(double found, double expected, double tolerance = 1e-4) {
  INFO(found << " for " << expected);
  CHECK(std::abs(found - expected) <= tolerance);
  return true;
}

Statistics counts_of(const std::vector<std::int64_t>& truth, const std::vector<std::int64_t>& predicted) {
  std::vector<Statistics> rows;
  for (std::size_t i = 0; i < truth.size(); ++i) rows.push_back(class_counts(truth[i], predicted[i], 6));
  return sum_of(rows);
}

double calibration_error_of(const std::vector<double>& confidence, const std::vector<bool>& right) {
  std::vector<Statistics> rows;
  for (std::size_t i = 0; i < confidence.size(); ++i)
    rows.push_back(calibration_bins(confidence[i], right[i]));
  return calibration_error(sum_of(rows));
}

double score_of(const std::string& metric, const std::vector<ScoredText>& texts) {
  return find_text_metric(metric).score(texts);
}

}  // namespace

TEST_CASE("metrics: corpora score as by the reference programs") {
  const auto folder = fixtures();
  if (folder.empty()) return;
  const Json expected = Json::parse(read_file(folder / "expected.json"));
  for (const char* set : {"e2e_dev10", "nlgeval2", "edge_cases"}) {
    INFO(set);
    const auto texts = texts_of(folder / cat(set, ".jsonl"));
    const Json& values =
        expected[set][expected[set].contains("sacrebleu") ? "sacrebleu" : "sacrebleu_corpus"];
    is_near(score_of("bleu", texts), values["BLEU_13a"]);
    is_near(100 * score_of("e2e_bleu", texts), values["BLEU_13a_lowercase"]);
    is_near(score_of("chrf", texts), values["chrF"]);
    is_near(score_of("chrf++", texts), values["chrF++"]);
    is_near(score_of("ter", texts), values["TER"]);
    if (expected[set].contains("mteval_v13a")) {
      is_near(score_of("e2e_bleu", texts), expected[set]["mteval_v13a"]["BLEU"]);
      is_near(score_of("nist", texts), expected[set]["mteval_v13a"]["NIST"]);
    }
  }
  const Json& coco = expected["e2e_dev10"]["coco_on_tok"];
  for (const char* file : {"e2e_dev10.jsonl", "e2e_dev10.tok.jsonl"}) {
    INFO(file);
    const auto texts = texts_of(folder / file);
    is_near(score_of("rouge_l_coco", texts), coco["ROUGE_L"]);
    is_near(score_of("cider", texts), coco["CIDEr"]);
    for (std::size_t i = 0; i < texts.size(); ++i)
      is_near(score_of("rouge_l_coco", {texts[i]}), coco["ROUGE_L_per_row"][i]);
  }
}

TEST_CASE("metrics: caption scores of further corpora are those of the reference programs") {
  const auto folder = fixtures();
  if (folder.empty()) return;
  const Json expected = Json::parse(read_file(folder / "expected.json"));
  const auto nlgeval = texts_of(folder / "nlgeval2.jsonl");
  is_near(score_of("rouge_l_coco", nlgeval), expected["nlgeval2"]["recomputed_here"]["ROUGE_L"]);
  is_near(score_of("cider", nlgeval), expected["nlgeval2"]["recomputed_here"]["CIDEr"]);
  const auto edges = texts_of(folder / "edge_cases.jsonl");
  const Json& each = expected["edge_cases"]["coco_per_row"];
  double cider = 0;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    INFO(i);
    is_near(score_of("rouge_l_coco", {edges[i]}), each["ROUGE_L"][i]);
    cider += each["CIDEr"][i].get<double>() / static_cast<double>(edges.size());
  }
  is_near(score_of("cider", edges), cider);
}

TEST_CASE("metrics: exact match and token F1 as SQuAD defines them, by hand") {
  const auto both = [](const std::string& found, const std::vector<std::string>& expected) {
    return std::pair(score_of("exact_match", {{found, expected}}), score_of("token_f1", {{found, expected}}));
  };
  // Case, punctuation, articles and spaces do not count; of several references the best does.
  CHECK(both("The  Cat!", {"dog", "a cat"}) == std::pair(1.0, 1.0));
  CHECK(both("", {"the"}) == std::pair(1.0, 1.0));
  CHECK(both("", {"cat"}) == std::pair(0.0, 0.0));
  // An article is a run of letters: quotation marks and dashes beyond ASCII end it, a combining mark as well.
  CHECK(both("“The cat”", {"“cat”"}) == std::pair(0.0, 0.0));
  CHECK(both("“The cat”", {"“ cat”"}) == std::pair(1.0, 1.0));
  CHECK(both("the–end", {"–end"}) == std::pair(1.0, 1.0));
  CHECK(both("thé an\u0301", {"thé \u0301"}) == std::pair(1.0, 1.0));
  // "cat sat sat" beside "cat sat on mat": two common words, P 2/3, R 2/4.
  const auto [exact, f1] = both("the cat sat, sat", {"a cat sat on the mat"});
  CHECK(exact == 0);
  is_near(f1, 2 * (2.0 / 3) * (2.0 / 4) / (2.0 / 3 + 2.0 / 4), 1e-12);
  is_near(score_of("token_f1", {{"x", {"x"}}, {"x", {"y"}}}), 0.5, 1e-12);
}

TEST_CASE("metrics: ROUGE-L of captions is 1 for two texts without words") {
  CHECK(score_of("rouge_l_coco", {{"...", {"!"}}}) == 1);
  CHECK(score_of("rouge_l_coco", {{"...", {"a cat", ""}}}) == 1);
  CHECK(score_of("rouge_l_coco", {{"", {"a cat"}}}) == 0);
  CHECK(score_of("rouge_l_coco", {{"a cat", {""}}}) == 0);
}

TEST_CASE("metrics: caption code's tokens are those of the Penn Treebank tokenizer on the fixtures") {
  const auto folder = fixtures();
  if (folder.empty()) return;
  for (const char* set : {"e2e_dev10", "edge_cases"}) {
    const auto raw = texts_of(folder / cat(set, ".jsonl")),
               tokenised = texts_of(folder / cat(set, ".tok.jsonl"));
    REQUIRE(raw.size() == tokenised.size());
    for (std::size_t i = 0; i < raw.size(); ++i) {
      CHECK(join(words_coco(raw[i].prediction), " ") == tokenised[i].prediction);
      for (std::size_t j = 0; j < raw[i].references.size(); ++j)
        CHECK(join(words_coco(raw[i].references[j]), " ") == tokenised[i].references[j]);
    }
  }
}

TEST_CASE("metrics: labels and numbers score as by scikit-learn and SciPy") {
  const auto folder = fixtures();
  if (folder.empty()) return;
  for (const Json& item : Json::parse(read_file(folder / "glue_metrics.json"))) {
    INFO(item["name"]);
    const Json& expected = item["expected"];
    if (expected.contains("pearson")) {
      const auto a = item["labels"].get<std::vector<double>>(),
                 b = item["predictions"].get<std::vector<double>>();
      is_near(correlation(sum_of(moments(a, b))), expected["pearson"], 1e-9);
      is_near(correlation(sum_of(moments(ranks(a), ranks(b)))), expected["spearman"], 1e-9);
      continue;
    }
    const auto truth = item["labels"].get<std::vector<std::int64_t>>(),
               found = item["predictions"].get<std::vector<std::int64_t>>();
    is_near(accuracy(counts_of(truth, found)), expected["accuracy"], 1e-9);
    if (expected.contains("f1_macro")) is_near(f1_macro(counts_of(truth, found)), expected["f1_macro"], 1e-9);
    if (expected.contains("f1_micro")) is_near(f1_micro(counts_of(truth, found)), expected["f1_micro"], 1e-9);
    is_near(matthews(counts_of(truth, found)), expected["matthews_correlation"], 1e-9);
    if (expected.contains("f1_positive_is_1"))
      is_near(f1_of_class(counts_of(truth, found), 1), expected["f1_positive_is_1"], 1e-9);
  }
}

TEST_CASE("metrics: perfect, empty and foreign texts") {
  const std::vector<ScoredText> perfect{{"The cat sat on the mat today.", {"The cat sat on the mat today."}},
                                        {"A dog barked at it.", {"A dog barked at it."}}};
  for (const std::string& name : text_metric_names()) {
    INFO(name);
    const TextMetric& metric = find_text_metric(name);
    const bool reaches_scale = metric.scale() > 0 && name != "cider" && name != "meteor_stem";
    if (reaches_scale) is_near(metric.score(perfect), metric.scale(), 1e-9);
    const double best = metric.score(perfect);
    const double foreign = metric.score({{"xyzzy", {"The cat sat."}}, {"", {"A dog barked."}}});
    if (metric.higher_is_better()) {
      CHECK(foreign >= 0);
      CHECK(foreign < best / 2);
    } else {
      CHECK(best == 0);
      CHECK(foreign > 50);
    }
    CHECK(std::isfinite(metric.score({{"", {""}}})));
  }
}

TEST_CASE("metrics: METEOR of words and stems by hand") {
  // One chunk of all m words still costs 0.5 / m^3.
  is_near(score_of("meteor_stem", {{"the cat sat", {"The cat sat"}}}), 1 - 0.5 / 27, 1e-12);
  // cats ~ cat and sat: m 2, one chunk, P 2/3, R 1/2, F = (1/3) / (0.9 * 2/3 + 0.1 * 1/2).
  is_near(score_of("meteor_stem", {{"the cats sat", {"a cat sat here", "dogs"}}}),
          (1 - 0.5 / 8) * (1.0 / 3) / 0.65, 1e-12);
  // Words in another order: as many chunks as pairs.
  is_near(score_of("meteor_stem", {{"b a", {"a b"}}}), 0.5, 1e-12);
}

TEST_CASE("metrics: the value of summed statistics does not depend on how texts are grouped") {
  const std::vector<ScoredText> texts{
      {"a b c d e", {"a b c d f"}}, {"x y", {"x z", "x y z"}}, {"one two three four", {"one two"}}};
  for (const std::string& name : text_metric_names()) {
    const TextMetric& metric = find_text_metric(name);
    auto rows = metric.statistics(texts);
    const double forward = metric.value(sum_of(rows));
    std::swap(rows[0], rows[2]);
    CHECK(metric.value(sum_of(rows)) == Catch::Detail::Approx(forward).epsilon(1e-12));
  }
}

TEST_CASE("metrics: an unknown name is refused with the nearest") {
  lora::test::require_error([] { find_text_metric("blue"); }, ExitCode::usage, {"\"blue\""});
}

TEST_CASE("metrics: a side that does not vary correlates with nothing, however its sums are rounded") {
  const double constant = 3.5;
  for (const double value : {constant, static_cast<double>(1.4f), 1.0, 1e5 / 3, 0.0})
    CHECK(correlation(sum_of(moments({2.4, 3.8, 1.0, -2.5, 0.1}, {value, value, value, value, value}))) == 0);
  CHECK(correlation(sum_of(moments({constant, constant, constant}, {1, 2, 4}))) == 0);
}

TEST_CASE("metrics: rows of none of the classes are a class of their own to Matthews' coefficient") {
  // As six classes know it: 2 of 5 right, the last two are of a class that nobody predicts.
  const std::vector<std::int64_t> predicted{0, 1, 1, 0, 1};
  CHECK(matthews(counts_of({0, 1, 0, -1, -1}, predicted)) ==
        Catch::Detail::Approx(matthews(counts_of({0, 1, 0, 5, 5}, predicted))));
}

TEST_CASE("metrics: calibration error of known confidences") {
  // bin (0.8, 0.9]: accuracy 1/2, confidence 0.9; bin (0.5, 0.6]: 1, 0.6
  CHECK(calibration_error_of({0.9, 0.9, 0.6, 0.6}, {true, false, true, true}) == Catch::Detail::Approx(0.4));
  CHECK(calibration_error_of({1.0, 0.0}, {true, false}) == Catch::Detail::Approx(0));
}

TEST_CASE("bootstrap: the interval of a mean is that of its normal approximation, and repeats itself") {
  std::vector<Statistics> rows;
  for (int i = 0; i < 400; ++i) rows.push_back({i % 4 == 0 ? 1.0 : 0.0, 1});
  const auto mean = [](const Statistics& sum) { return sum[0] / sum[1]; };
  const Interval interval = bootstrap_interval(rows, mean);
  const double half = 1.96 * std::sqrt(0.25 * 0.75 / 400);
  CHECK(interval.low == Catch::Detail::Approx(0.25 - half).margin(0.006));
  CHECK(interval.high == Catch::Detail::Approx(0.25 + half).margin(0.006));
  CHECK(bootstrap_interval(rows, mean).low == interval.low);
}

TEST_CASE("bootstrap: equal systems do not differ, clearly different ones do") {
  std::vector<Statistics> good, bad, same;
  for (int i = 0; i < 100; ++i) {
    good.push_back({1, 1});
    bad.push_back({i % 3 == 0 ? 0.0 : 1.0, 1});
    same.push_back({i % 3 == 1 ? 0.0 : 1.0, 1});
  }
  const auto mean = [](const Statistics& sum) { return sum[0] / sum[1]; };
  CHECK(paired_p_value(bad, bad, mean) == 1);
  CHECK(paired_p_value(good, bad, mean) < 0.002);
  CHECK(paired_p_value(bad, same, mean) > 0.3);
}
