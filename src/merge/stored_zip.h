#pragma once

#include <map>
#include <string>
#include <string_view>

namespace lora {

/// The entries of a ZIP archive whose entries are stored, as torch.save writes it: name -> bytes, views of
/// `archive`. file error for compression, encryption, ZIP64, several disks, entries that overlap or leave the
/// file, checksums that disagree.
std::map<std::string, std::string_view> read_stored_zip(std::string_view archive, const std::string& place);

/// Such an archive, in the order of the names, each entry's bytes aligned to 64.
std::string write_stored_zip(const std::map<std::string, std::string>& entries);

}  // namespace lora
