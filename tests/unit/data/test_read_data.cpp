#include "data_text.h"
#include "lora/base/random.h"
#include "lora/base/sha256.h"
#include "support/errors.h"

using lora::DataSet;
using lora::ExitCode;
using lora::ReadOptions;
using lora::test::error_of;
using lora::test::read_text;
using lora::test::require_error;

namespace {

constexpr const char* kRow = R"({"text": "a"})";

std::vector<std::int64_t> lines_of(const DataSet& data) {
  std::vector<std::int64_t> lines;
  for (const auto& example : data.examples) lines.push_back(example.line);
  return lines;
}

ReadOptions first(std::int64_t rows) {
  ReadOptions options;
  options.limit = rows;
  return options;
}

ReadOptions skipping(std::int64_t rows) {
  ReadOptions options;
  options.skip_bad = rows;
  return options;
}

void require_refused(const std::string& text, std::initializer_list<std::string> parts,
                     const ReadOptions& options = {}) {
  INFO(text.substr(0, 200));
  require_error([&] { read_text(text, options); }, ExitCode::data, parts);
}

}  // namespace

TEST_CASE("read data: JSONL and array give the same rows") {
  const std::string a = R"({"prompt": "p", "completion": "c"})", b = R"({"prompt": "q", "completion": "d"})";
  const DataSet lines = read_text("\n" + a + "\r\n\n" + b + "\n");
  const DataSet array = read_text("\xEF\xBB\xBF [\n" + a + ",\n" + b + "]\n");
  CHECK(lines_of(lines) == std::vector<std::int64_t>{2, 4});
  CHECK(lines_of(array) == std::vector<std::int64_t>{1, 2});
  CHECK(!lines.is_array);
  CHECK(array.is_array);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(std::get<lora::PromptCompletion>(lines.examples[i].content).completion ==
          std::get<lora::PromptCompletion>(array.examples[i].content).completion);
  }
}

TEST_CASE("read data: the hash is that of the whole file, whatever the limit") {
  const std::string text = std::string(kRow) + "\n" + kRow + "\n";
  CHECK(read_text(text).sha256 == lora::sha256(text));
  CHECK(read_text(text, first(1)).sha256 == lora::sha256(text));
}

TEST_CASE("read data: the limit takes the first rows and reads no further") {
  const std::string text = std::string(kRow) + "\n" + kRow + "\nbroken";
  CHECK(read_text(text, first(2)).examples.size() == 2);
  require_refused(text, {"line 3"});
}

TEST_CASE("read data: further fields are ignored") {
  CHECK(
      read_text(R"({"prompt": "p", "completion": "c", "references": ["c", "d"], "id": 7})").examples.size() ==
      1);
}

TEST_CASE("read data: malformed JSON is refused with line, column and excerpt") {
  require_refused(std::string(kRow) + "\n{\"text\": \"b\" oops}\n",
                  {"rows.json line 2", "column 14", "oops"});
  require_refused("[\n  {\"text\": \"a\"},\n  {\"text\": oops}\n]",
                  {"element 2 (begins in line 3)", "column 1", "oops"});
}

TEST_CASE("read data: JSON over several lines is refused with what to do") {
  const auto read = [] { read_text("{\n  \"text\": \"a\"\n}\n"); };
  require_error(read, ExitCode::data, {"line 1"});
  CHECK(error_of(read).hint().find("need an array") != std::string::npos);
}

TEST_CASE("read data: invalid UTF-8, lone surrogates and UTF-16 are refused") {
  require_refused("{\"text\": \"\xFF\"}", {"line 1", "UTF-8"});
  require_refused(R"({"text": "\ud800"})", {"line 1", "surrogate"});
  require_refused(std::string("\xFF\xFE{\0", 4), {"UTF-16"});
}

TEST_CASE("read data: duplicate keys are refused") {
  require_refused(R"({"text": "a", "text": "b"})",
                  {"line 1", "\"text\" occurs twice", "the row is {\"text\": \"a\""});
}

TEST_CASE("read data: a depth bomb is refused") {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  require_refused("{\"text\": " + deep + "}", {"line 1", "deeper than"});
  require_refused("[" + deep + "]", {"element 1", "deeper than"});
}

TEST_CASE("read data: files without rows are refused") {
  for (const char* text : {"", "\n \n", "[]", "\xEF\xBB\xBF"}) require_refused(text, {"no rows"});
}

TEST_CASE("read data: rows that are no objects are refused") {
  require_refused("5", {"line 1", "object", "number"});
  require_refused("[[1]]", {"element 1", "object", "array"});
}

TEST_CASE("read data: mixed shapes are refused with both rows") {
  require_refused(std::string(kRow) + "\n\n{\"text\": \"a\", \"label\": 1}",
                  {"line 3", "mixed", "{text, label[, text_pair]}", "line 1 is {text}"});
}

TEST_CASE("read data: a folder and a missing file are told apart") {
  const lora::test::TemporaryFolder folder;
  require_error([&] { lora::read_data(folder.path(), {}); }, ExitCode::data, {"folder"});
  require_error([&] { lora::read_data(folder / "none.jsonl", {}); }, ExitCode::io, {"none.jsonl"});
}

TEST_CASE("read data: skip_bad skips so many rows, counts them, and refuses the next") {
  const std::string text = std::string("oops\n") + kRow + "\n{\"text\": 5}\n" + kRow + "\n";
  const DataSet data = read_text(text, skipping(2));
  CHECK(data.skipped_bad == 2);
  CHECK(lines_of(data) == std::vector<std::int64_t>{2, 4});
  require_refused(text, {"line 3", "1 bad rows skipped before"}, skipping(1));
  require_refused("oops\n", {"no rows, 1 bad ones skipped"}, skipping(1));
}

TEST_CASE("read data: rows of another shape than the first good one can be skipped too") {
  const DataSet data = read_text(
      "{\"text\": 1}\n{\"prompt\": \"p\", \"completion\": \"c\"}\n" + std::string(kRow), skipping(2));
  CHECK(lines_of(data) == std::vector<std::int64_t>{2});
}

TEST_CASE("read data: a damaged file is read or refused with code 3, whatever byte is changed or missing") {
  const std::string text =
      "[{\"text\": \"a\\\"\\u00e9, ]\", \"label\": 1.5},\n {\"text\": \"\xC3\xA9}\", \"label\": true}]\n";
  const lora::CounterRandom random(3, 3);
  const auto try_reading = [](const std::string& damaged) {
    try {
      return !read_text(damaged).examples.empty();
    } catch (const lora::Error& error) {
      CHECK(error.code() == ExitCode::data);
      return false;
    }
  };
  int readable = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(random.below(i, 256));
    readable += try_reading(damaged);
    readable += try_reading(text.substr(0, i));
  }
  CHECK(readable > 0);
  CHECK(readable < static_cast<int>(text.size()));
}

TEST_CASE("read data: what is shown of a row holds no control characters") {
  const auto error = error_of([] { read_text("{\"\\u001b[31mkey\": 1}"); });
  CHECK(std::string(error.what()).find('\x1b') == std::string::npos);
}

TEST_CASE("read data: a place names file and row") {
  DataSet data;
  data.path = "d/train.jsonl";
  CHECK(data.place(17) == "d/train.jsonl line 17");
  data.is_array = true;
  CHECK(data.place(17) == "d/train.jsonl element 17");
}
