#pragma once

#include <fstream>
#include <string>

#include "lora/data/example.h"
#include "support/temporary_folder.h"

namespace lora::test {

/// read_data of a file "rows.json" with this content.
inline DataSet read_text(const std::string& text, const ReadOptions& options = {}) {
  const TemporaryFolder folder;
  std::ofstream(folder / "rows.json", std::ios::binary) << text;
  return read_data(folder / "rows.json", options);
}

/// The first row of a file with this content, as Content's alternative T.
template <class T>
T first_row(const std::string& text, const ReadOptions& options = {}) {
  return std::get<T>(read_text(text, options).examples.at(0).content);
}

/// A data set of rows with these contents; their lines count from 1.
inline DataSet data_of(std::vector<Content> contents) {
  DataSet data;
  data.path = "rows.jsonl";
  for (Content& content : contents) {
    data.examples.push_back({static_cast<std::int64_t>(data.examples.size()) + 1, std::move(content)});
  }
  return data;
}

}  // namespace lora::test
