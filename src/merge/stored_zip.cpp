#include "merge/stored_zip.h"

#include "base/zip_archive.h"
#include "base/zip_writer.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

std::map<std::string, std::string_view> read_stored_zip(std::string_view archive, const std::string& place) {
  std::map<std::string, std::string_view> entries;
  for (const ZipEntry& entry : list_zip(archive, place)) {
    const auto fail = [&](const std::string& what) {
      throw Error(ExitCode::file,
                  cat(place, ": no archive of torch.save: entry \"", printable(entry.name), "\" ", what),
                  "the file is damaged, or of another tool: save it again with torch.save(state_dict, path)");
    };
    if (entry.method != ZipEntry::kStored) fail("is compressed");
    if (zip_checksum(entry.bytes) != entry.checksum) fail("does not agree with its checksum");
    entries[entry.name] = entry.bytes;
  }
  return entries;
}

std::string write_stored_zip(const std::map<std::string, std::string>& entries) {
  std::string bytes;
  ZipWriter writer([&](std::string_view part) { bytes += part; });
  for (const auto& [name, data] : entries) writer.add(name, data);
  writer.finish();
  return bytes;
}

}  // namespace lora
