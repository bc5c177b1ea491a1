#include "checkpoint/run_report.h"

#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::uint64_t kMostReportBytes = 1 << 20;

/// The fields of a report with their names, for writing and for reading.
template <class Report, class Visitor>
void visit(Report& report, Visitor&& field) {
  field("method", report.method);
  field("variant", report.variant);
  field("model", report.model_path);
  field("base_fingerprint", report.base_fingerprint);
  field("trainable_parameters", report.trainable_parameters);
  field("total_parameters", report.total_parameters);
  field("updates", report.updates);
  field("tokens", report.tokens);
  field("train_seconds", report.train_seconds);
  field("tokens_per_second", report.tokens_per_second);
  field("peak_bytes", report.peak_bytes);
  field("estimated_peak_bytes", report.estimated_peak_bytes);
  field("base_bytes", report.base_bytes);
  field("trained_bytes", report.trained_bytes);
  field("optimizer_bytes", report.optimizer_bytes);
  field("activation_bytes", report.activation_bytes);
  field("median_step_seconds", report.median_step_seconds);
  field("best_valid_loss", report.best_valid_loss);
  field("best_step", report.best_step);
  field("final_train_loss", report.final_train_loss);
  field("checkpoint_bytes", report.checkpoint_bytes);
  field("cpu", report.cpu);
}

struct FieldWriter {
  Json& json;

  template <class Value>
  void operator()(const char* name, const Value& value) const {
    json[name] = value;
  }
  template <class Value>
  void operator()(const char* name, const std::optional<Value>& value) const {
    json[name] = value ? Json(*value) : Json(nullptr);
  }
};

struct FieldReader {
  const Json& json;
  const JsonOrigin& origin;

  void operator()(const char* name, std::string& value) const { value = json_string(at(name), name, origin); }
  void operator()(const char* name, std::int64_t& value) const { value = json_int(at(name), name, origin); }
  void operator()(const char* name, double& value) const { value = json_number(at(name), name, origin); }
  void operator()(const char* name, std::uint64_t& value) const {
    const std::int64_t bytes = json_int(at(name), name, origin);
    if (bytes < 0) throw Error(origin.code, cat(origin.place, ": \"", name, "\" is negative"));
    value = static_cast<std::uint64_t>(bytes);
  }
  template <class Value>
  void operator()(const char* name, std::optional<Value>& value) const {
    if (!json.contains(name) || json[name].is_null()) return;
    (*this)(name, value.emplace());
  }
  const Json& at(const char* name) const { return json_at(json, name, origin); }
};

}  // namespace

Json run_report_json(const RunReport& report) {
  Json json = Json::object();
  visit(report, FieldWriter{json});
  if (!report.profile.empty()) json["profile"] = Json::parse(report.profile);
  return json;
}

RunReport parse_run_report(const Json& json, const JsonOrigin& origin) {
  RunReport report;
  visit(report, FieldReader{json, origin});
  return report;
}

RunReport read_run_report(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kReportFile;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) {
    const bool started = std::filesystem::exists(folder / "config.json", ignored);
    throw Error(ExitCode::file, cat("\"", folder.string(), "\" is no finished run: it has no ", kReportFile),
                started ? "its training did not end: run it again, or use its adapter folder"
                        : "give the folder that lora-train wrote (--out)");
  }
  const JsonOrigin origin{path.string(), ExitCode::file};
  return parse_run_report(parse_json(read_file(path, kMostReportBytes), origin), origin);
}

}  // namespace lora
