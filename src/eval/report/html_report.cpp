#include "eval/report/html_report.h"

#include <algorithm>

#include "eval/report/svg_plot.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char* kStyle = R"(
:root{--fg:#1b1f24;--bg:#fff;--soft:#667;--rule:#d5d9df;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--fg:#e6e9ee;--bg:#15181c;--soft:#9aa3ad;--rule:#343a41}}
@media print{:root{--fg:#000;--bg:#fff;--soft:#444;--rule:#bbb}section{break-inside:avoid}.wide{overflow:visible!important}table{font-size:9px}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}p.note{color:var(--soft)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top}
th:first-child,td:first-child,td.text{text-align:left}td.text{max-width:26rem;white-space:pre-wrap;overflow-wrap:anywhere}
small{color:var(--soft);white-space:nowrap}svg{max-width:100%;height:auto}svg text{fill:var(--fg);font:12px system-ui,sans-serif}
.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}polyline{fill:none}
)";
constexpr const char* kColours[] = {"#3568c0", "#d9741a", "#2f9a58", "#b8389b",
                                    "#8a6d1f", "#1f98a8", "#c23b3b", "#6d57c7"};

std::string style() {
  std::string css = kStyle;
  for (std::size_t i = 0; i < std::size(kColours); ++i)
    css += cat(".c", i, "{fill:", kColours[i], "}.s", i, "{stroke:", kColours[i], ";stroke-width:2}");
  return css;
}

std::string section(const std::string& title, const std::string& content, const std::string& note = "") {
  if (content.empty()) return "";
  return cat("<section><h2>", html_escaped(title), "</h2>\n", content,
             note.empty() ? "" : cat("<p class=\"note\">", html_escaped(note), "</p>\n"), "</section>\n");
}

std::string row(const std::vector<std::string>& cells, const char* tag = "td") {
  std::string out = "<tr>";
  for (const std::string& cell : cells) out += cat("<", tag, ">", cell, "</", tag, ">");
  return out + "</tr>\n";
}

std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<div class=\"wide\"><table>\n" + row(header, "th");
  for (const auto& cells : rows) out += row(cells);
  return out + "</table></div>\n";
}

std::string estimate_cell(const Estimate& estimate, int digits) {
  std::string out = fixed(estimate.value, digits);
  if (estimate.interval)
    out += cat("<br><small>[", fixed(estimate.interval->low, digits), ", ",
               fixed(estimate.interval->high, digits), "]</small>");
  if (estimate.p_value) out += cat(" <small>p ", fixed(*estimate.p_value, 3), "</small>");
  return out;
}

std::string measure_cell(const Measure& measure) { return estimate_cell(measure, measure.digits()); }

bool is_class(const Measure& measure) { return measure.name.starts_with("f1:"); }

std::string quality_table(const Comparison& comparison) {
  std::vector<std::string> header{"variant"};
  for (const Measure& measure : comparison.variants[0].measures) {
    if (!is_class(measure)) header.push_back(html_escaped(measure.name));
  }
  if (comparison.variants[0].general) header.emplace_back("loss on general text");
  std::vector<std::vector<std::string>> rows;
  for (const VariantResult& result : comparison.variants) {
    std::vector<std::string> cells{html_escaped(result.name)};
    for (const Measure& measure : result.measures) {
      if (!is_class(measure)) cells.push_back(measure_cell(measure));
    }
    if (result.general) cells.push_back(measure_cell(*result.general));
    rows.push_back(cells);
  }
  return table(header, rows);
}

std::string text_section(const Comparison& comparison) {
  if (!comparison.texts) return "";
  const TextScores& scores = *comparison.texts;
  std::vector<std::string> header{"variant"};
  for (const TextMetric* metric : scores.metrics) header.push_back(html_escaped(metric->name()));
  std::vector<std::vector<std::string>> rows;
  for (std::size_t v = 0; v < scores.names.size(); ++v) {
    rows.push_back({html_escaped(scores.names[v])});
    for (std::size_t m = 0; m < scores.metrics.size(); ++m)
      rows.back().push_back(estimate_cell(scores.values[v][m], scores.metrics[m]->digits()));
  }
  std::string out = table(header, rows) + "<p class=\"note\">";
  for (const TextMetric* metric : scores.metrics)
    out += cat(html_escaped(cat(metric->name(), ": ", metric->definition())), "<br>\n");
  return out + "</p>\n";
}

std::string bytes_of(const VariantResult& result, std::optional<std::uint64_t> RunReport::* part) {
  return result.training && (*result.training).*part ? human_bytes(*((*result.training).*part)) : "-";
}

std::string cost_table(const Comparison& comparison) {
  std::vector<std::vector<std::string>> rows;
  for (const VariantResult& result : comparison.variants) {
    const auto& training = result.training;
    const auto count = result.trainable_parameters;
    rows.push_back(
        {html_escaped(result.name), count ? human_count(static_cast<std::uint64_t>(*count)) : "-",
         count && comparison.total_parameters > 0
             ? fixed(100.0 * static_cast<double>(*count) / static_cast<double>(comparison.total_parameters),
                     3) +
                   " %"
             : "-",
         human_bytes(result.file_bytes), training ? human_bytes(training->peak_bytes) : "-",
         bytes_of(result, &RunReport::base_bytes), bytes_of(result, &RunReport::trained_bytes),
         bytes_of(result, &RunReport::optimizer_bytes), bytes_of(result, &RunReport::activation_bytes),
         training ? human_seconds(training->train_seconds) : "-",
         training ? cat(fixed(training->tokens_per_second, 0), " /s") : "-"});
  }
  return table({"variant", "trained parameters", "share", "file", "training peak memory", "base",
                "trained, gradients", "moments", "step", "training time", "tokens"},
               rows);
}

std::string quality_plot(const Comparison& comparison) {
  std::vector<PlotPoint> points;
  std::string name;
  for (std::size_t i = 0; i < comparison.variants.size(); ++i) {
    const VariantResult& result = comparison.variants[i];
    if (!result.trainable_parameters) continue;
    const auto& measures = result.measures;
    const auto better = std::find_if(measures.begin(), measures.end(), [](const auto& each) {
      return each.name == "accuracy" || each.name == "pearson";
    });
    const Measure& shown = better == measures.end() ? measures.front() : *better;
    name = shown.name;
    const Interval interval = shown.interval.value_or(Interval{shown.value, shown.value});
    points.push_back({i, result.name, static_cast<double>(*result.trainable_parameters), shown.value,
                      interval.low, interval.high});
  }
  return scatter_plot(points, "trained parameters (none: at 1)", name);
}

std::string loss_plot(const Comparison& comparison) {
  std::vector<PlotLine> lines;
  for (std::size_t i = 0; i < comparison.variants.size(); ++i) {
    const VariantResult& result = comparison.variants[i];
    if (!result.loss_curve.empty()) lines.push_back({i, result.name, result.loss_curve});
  }
  return line_plot(lines, "tokens", "training loss");
}

std::string latency_section(const Comparison& comparison) {
  std::string out;
  for (std::size_t i = 0; i < comparison.latency_shapes.size(); ++i) {
    std::vector<PlotBar> bars;
    std::vector<std::vector<std::string>> rows;
    const auto& first = comparison.variants[0].latencies;
    for (std::size_t v = 0; v < comparison.variants.size(); ++v) {
      const VariantResult& result = comparison.variants[v];
      if (i >= result.latencies.size()) continue;
      const Latency& latency = result.latencies[i];
      bars.push_back({v, result.name, latency.median_ms});
      rows.push_back({html_escaped(result.name), fixed(latency.median_ms, 2),
                      i < first.size() ? fixed(latency.median_ms / first[i].median_ms, 3) : "-",
                      fixed(latency.least_ms, 2), fixed(latency.most_ms, 2)});
    }
    if (bars.empty()) continue;
    out += cat("<h3>", html_escaped(comparison.latency_shapes[i]), "</h3>\n", bar_plot(bars, "ms"),
               table({"variant", "median ms", "of the first", "least", "most"}, rows));
  }
  return out;
}

std::string decode_section(const Comparison& comparison) {
  std::string out;
  for (std::size_t i = 0; i < comparison.decode_shapes.size(); ++i) {
    std::vector<std::vector<std::string>> rows;
    for (const VariantResult& result : comparison.variants) {
      if (result.decode_latencies.empty()) continue;
      const DecodeLatency& latency = result.decode_latencies[i];
      rows.push_back({html_escaped(result.name)});
      for (const Latency* part : {&latency.first_token, &latency.further_token}) {
        rows.back().push_back(fixed(part->median_ms, 2));
        rows.back().push_back(cat(fixed(part->least_ms, 2), " to ", fixed(part->most_ms, 2)));
      }
    }
    if (rows.empty()) continue;
    out += cat("<h3>", html_escaped(comparison.decode_shapes[i]), "</h3>\n",
               table({"variant", "first token, median ms", "least to most", "further token, median ms",
                      "least to most"},
                     rows));
  }
  return out;
}

std::string class_section(const Comparison& comparison) {
  std::vector<std::string> header{"class"};
  for (const VariantResult& result : comparison.variants) header.push_back(html_escaped(result.name));
  std::vector<std::vector<std::string>> rows;
  for (std::size_t m = 0; m < comparison.variants[0].measures.size(); ++m) {
    const Measure& measure = comparison.variants[0].measures[m];
    if (!is_class(measure)) continue;
    std::vector<std::string> cells{html_escaped(measure.name.substr(3))};
    for (const VariantResult& result : comparison.variants)
      cells.push_back(fixed(result.measures[m].value, 3));
    rows.push_back(cells);
  }
  return rows.empty() ? "" : table(header, rows);
}

std::string example_section(const Comparison& comparison) {
  std::string out;
  for (std::size_t i = 0; i < comparison.examples; ++i) {
    out += cat("<div class=\"wide\"><table><tr><th>prompt</th><td class=\"text\">",
               html_escaped(comparison.prompts[i]), "</td></tr><tr><th>expected</th><td class=\"text\">",
               html_escaped(comparison.expected[i]), "</td></tr>\n");
    for (const VariantResult& result : comparison.variants)
      out += cat("<tr><th>", html_escaped(result.name), "</th><td class=\"text\">",
                 html_escaped(result.answers[i]), "</td></tr>\n");
    out += "</table></div><br>\n";
  }
  return out;
}

}  // namespace

std::string html_report(const Comparison& comparison) {
  std::string out =
      cat("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width\"><title>Comparison on ",
          html_escaped(comparison.data_path), "</title><style>", style(), "</style></head><body>\n<h1>",
          comparison.variants.size(), " variants of ", html_escaped(comparison.model_path), "</h1>\n<p>",
          html_escaped(comparison.data_path), ": ", comparison.rows, " rows, ", comparison.labelled,
          " labelled. ", html_escaped(comparison.cpu), ", ", comparison.threads, " threads, LibTorch ",
          comparison.torch_version, ".</p>\n");
  std::string note = cat("Loss in ", loss_unit(comparison.task), ".");
  if (comparison.labelled_bytes > 0)
    note += cat(" Per byte: of the ", comparison.labelled_bytes, " bytes of labelled text.");
  if (comparison.variants[0].measures[0].interval)
    note += cat(" Brackets: 95 % bootstrap intervals over rows. p: difference from ", comparison.baseline,
                ", paired randomisation.");
  out += section("Quality", quality_table(comparison), note);
  out += section("Generated texts", text_section(comparison),
                 cat("The likeliest answers to ", comparison.texts ? comparison.texts->texts : 0,
                     " prompts, of at most ", comparison.max_new_tokens, " tokens."));
  out += section("Cost", cost_table(comparison),
                 "Peak memory is that of the process; base, trained, moments and step are its tensors' "
                 "parts: step is the most "
                 "that one update allocates, activations above all.");
  out += section("Quality against trained parameters", quality_plot(comparison));
  out += section("Training", loss_plot(comparison), "Running mean of the loss of updates.");
  out +=
      section("Latency", latency_section(comparison), "One forward pass, variants in turn, after a warm-up.");
  out += section("Time per token", decode_section(comparison),
                 "Rows x tokens of prompts, written with a cache of keys and values, variants in turn: the "
                 "prompts' pass up to the first token of each row, then every further one.");
  out += section("F1 of each class", class_section(comparison));
  out += section("Examples", example_section(comparison), "The likeliest text, token by token.");
  return out + "</body></html>\n";
}

}  // namespace lora
