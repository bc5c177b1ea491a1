#include "data/packed_rows.h"

#include <cstring>
#include <type_traits>

#include "lora/base/error.h"

namespace lora {
namespace {

class ByteWriter {
 public:
  template <class Number>
  void operator()(const Number& number) {
    static_assert(std::is_arithmetic_v<Number> || std::is_enum_v<Number>);
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  template <class Number>
  void operator()(const std::vector<Number>& numbers) {
    (*this)(numbers.size());
    bytes_.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number));
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <class Number>
  void operator()(Number& number) {
    read(&number, sizeof number);
  }
  template <class Number>
  void operator()(std::vector<Number>& numbers) {
    std::size_t count = 0;
    (*this)(count);
    if (count > rest_.size() / sizeof(Number)) fail();
    numbers.resize(count);
    read(numbers.data(), count * sizeof(Number));
  }
  void finish() const {
    if (!rest_.empty()) fail();
  }

 private:
  [[noreturn]] static void fail() { throw Error(ExitCode::internal, "packed rows have another size"); }
  void read(void* into, std::size_t count) {
    if (count > rest_.size()) fail();
    if (count > 0) std::memcpy(into, rest_.data(), count);
    rest_.remove_prefix(count);
  }

  std::string_view rest_;
};

/// The members of rows and reports, for both directions.
template <class Visitor, class Row>
void visit_row(Visitor& visit, Row& row) {
  visit(row.ids);
  visit(row.labels);
  visit(row.types);
  visit(row.target);
  visit(row.value);
  visit(row.line);
}

template <class Visitor, class Report>
void visit_report(Visitor& visit, Report& report) {
  visit(report.task);
  visit(report.rows);
  visit(report.tokens);
  visit(report.labelled);
  visit(report.cut);
  visit(report.cut_tokens);
  visit(report.split);
  visit(report.dropped_long);
  visit(report.dropped_empty);
}

}  // namespace

std::string pack_rows(const EncodedSet& set) {
  ByteWriter write;
  visit_report(write, set.report);
  for (const EncodedRow& row : set.rows) visit_row(write, row);
  return write.take();
}

EncodedSet unpack_rows(std::string_view bytes) {
  ByteReader read(bytes);
  EncodedSet set;
  visit_report(read, set.report);
  for (std::int64_t i = 0; i < set.report.rows; ++i) visit_row(read, set.rows.emplace_back());
  read.finish();
  return set;
}

}  // namespace lora
