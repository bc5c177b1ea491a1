#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/zip_writer.h"

namespace lora::test {

/// An archive of these entries: name, content.
inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string bytes;
  ZipWriter writer([&](std::string_view part) { bytes += part; });
  for (const auto& [name, content] : entries) writer.add(name, content);
  writer.finish();
  return bytes;
}

}  // namespace lora::test
