#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>

#include "lora/data/example.h"
#include "support/catch.h"

namespace {

namespace fs = std::filesystem;

/// The folder named by LORA_SHARED_DATA, or nothing.
fs::path shared_data() {
  const char* folder = std::getenv("LORA_SHARED_DATA");
  return folder && *folder ? fs::path(folder) : fs::path();
}

/// "split.jsonl" -> rows, from the lines "| train.jsonl | 4870 rows |" of a data set's README.
std::map<std::string, std::size_t> stated_rows(const fs::path& readme) {
  const std::regex line(R"(\|\s*(\w+\.jsonl)\s*\|\s*(\d+) rows.*)");
  std::map<std::string, std::size_t> rows;
  std::ifstream in(readme);
  std::smatch found;
  for (std::string text; std::getline(in, text);) {
    if (std::regex_match(text, found, line)) rows[found[1]] = std::stoul(found[2]);
  }
  return rows;
}

}  // namespace

TEST_CASE("shared data: every data set is read whole, with as many rows as its README says") {
  if (shared_data().empty()) {
    WARN("skipped: LORA_SHARED_DATA is not set");
    return;
  }
  std::size_t files = 0;
  for (const auto& folder : fs::directory_iterator(shared_data())) {
    if (!folder.is_directory()) continue;
    for (const auto& [name, rows] : stated_rows(folder.path() / "README.md")) {
      INFO(folder.path() / name);
      CHECK(lora::read_data(folder.path() / name, {}).examples.size() == rows);
      ++files;
    }
  }
  CHECK(files > 0);
}
