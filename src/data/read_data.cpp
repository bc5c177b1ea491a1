#include <algorithm>
#include <set>
#include <utility>

#include "base/json.h"
#include "data/row_shape.h"
#include "data/row_source.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"
#include "lora/data/example.h"

namespace lora {
namespace {

constexpr std::size_t kExcerpt = 60;           ///< bytes of a bad row shown in its message
constexpr std::int64_t kMostSkipsLogged = 10;  ///< skipped rows that are named in the log

void check_kind_of_file(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return;
  throw Error(ExitCode::data, cat(path.string(), ": a folder, expected a JSON or JSONL file"),
              "give the file itself, for example FOLDER/train.jsonl");
}

void check_encoding(std::string_view bytes, const std::filesystem::path& path) {
  if (!bytes.starts_with("\xFF\xFE") && !bytes.starts_with("\xFE\xFF")) return;
  throw Error(ExitCode::data, cat(path.string(), ": the file is UTF-16, expected UTF-8"),
              "convert it: iconv -f UTF-16 -t UTF-8");
}

/// "; the row is {...", unless the message shows it already.
std::string excerpt_of(std::string_view row, std::string_view message) {
  const std::string begin = printable(row.substr(0, kExcerpt));
  if (message.find(begin) != std::string_view::npos) return "";
  return cat("; the row is ", begin, row.size() > kExcerpt ? "..." : "");
}

/// Collects the rows of one file.
class Reader {
 public:
  Reader(DataSet& data, const ReadOptions& options)
      : data_(data), options_(options), names_(options.fields, standard_fields()) {}

  bool full() const {
    return options_.limit > 0 && static_cast<std::int64_t>(data_.examples.size()) >= options_.limit;
  }

  void add(const RawRow& raw) {
    try {
      data_.examples.push_back(read(raw));
    } catch (const Error& error) {
      skip(error, raw);
    }
  }

  void finish() const {
    if (data_.examples.empty()) {
      throw Error(ExitCode::data,
                  cat(data_.path.string(), ": no rows",
                      data_.skipped_bad ? cat(", ", data_.skipped_bad, " bad ones skipped") : ""),
                  "a data file is one JSON array of objects, or one JSON object on every line");
    }
    log_info("data", data_.path.string(), ": ", data_.examples.size(), " rows of {", shape_->name(), "}",
             unused_.empty() ? "" : cat("; fields not used: ", printable(join(unused_, ", "))));
  }

 private:
  Example read(const RawRow& raw) {
    JsonOrigin origin{data_.place(raw.number), ExitCode::data};
    if (data_.is_array) origin.place += cat(" (begins in line ", raw.line, ")");
    const Json row = parse_json(raw.text, origin);
    const RowFields fields(row, names_, origin);
    const RowShape& shape = shape_of(fields);
    if (shape_ && shape_ != &shape) refuse_mixed(shape, origin);
    Example example{raw.number, shape.read(fields)};
    for (std::string& name : unused_fields(shape, fields)) unused_.insert(std::move(name));
    if (!shape_) first_ = raw.number;
    shape_ = &shape;
    return example;
  }

  [[noreturn]] void refuse_mixed(const RowShape& shape, const JsonOrigin& origin) const {
    throw Error(ExitCode::data,
                cat(origin.place, ": mixed row shapes: this row is {", shape.name(), "}, ",
                    data_.place(first_), " is {", shape_->name(), "}"),
                "put rows of different shapes into different files");
  }

  /// Counts a bad row, or rethrows its error with an excerpt if no more may be skipped.
  void skip(const Error& error, const RawRow& raw) {
    const std::string message = error.what() + excerpt_of(trim(raw.text), error.what());
    if (data_.skipped_bad == options_.skip_bad) {
      const std::string before =
          data_.skipped_bad ? cat(" (", data_.skipped_bad, " bad rows skipped before)") : "";
      throw Error(error.code(), message + before, hint(error));
    }
    if (++data_.skipped_bad <= kMostSkipsLogged) log_warn("data", "skipped: ", message);
  }

  std::string hint(const Error& error) const {
    if (!error.hint().empty()) return error.hint();
    return data_.is_array
               ? "correct the row, or let --skip-bad N skip it"
               : "every line is one whole JSON object (rows over several lines need an array [...]); "
                 "correct the row, or let --skip-bad N skip it";
  }

  DataSet& data_;
  const ReadOptions& options_;
  FieldNames names_;
  const RowShape* shape_ = nullptr;  ///< of the rows so far
  std::int64_t first_ = 0;           ///< number of the row that set it
  std::set<std::string> unused_;
};

}  // namespace

std::string DataSet::place(std::int64_t line) const {
  return cat(path.string(), is_array ? " element " : " line ", line);
}

DataSet read_data(const std::filesystem::path& path, const ReadOptions& options) {
  DataSet data;
  data.path = path;
  Reader reader(data, options);
  check_kind_of_file(path);
  const MappedFile file(path);
  check_encoding(file.bytes(), path);
  data.sha256 = sha256(file.bytes());
  RowSource source(file.bytes(), path.string());
  data.is_array = source.is_array();
  while (!reader.full()) {
    const auto row = source.next();
    if (!row) break;
    reader.add(*row);
  }
  reader.finish();
  return data;
}

}  // namespace lora
