#pragma once

#include <map>
#include <string>
#include <string_view>

namespace lora {

/// The entries of a ZIP archive whose entries are stored, as torch.save writes it: name -> bytes, views of
/// `archive`. file error for compression and for checksums that disagree, and where list_zip has one.
std::map<std::string, std::string_view> read_stored_zip(std::string_view archive, const std::string& place);

/// Such an archive, in the order of the names.
std::string write_stored_zip(const std::map<std::string, std::string>& entries);

}  // namespace lora
