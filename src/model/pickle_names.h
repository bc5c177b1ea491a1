#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lora {

/// What a pickle asks for by name, without building anything of it.
struct PickleNames {
  std::vector<std::string> globals;  ///< "collections.OrderedDict", "__torch__.m.Model"; each once
  std::vector<std::string> types;    ///< texts that would name a type outside of the archive
};

/// Walks over the operations that LibTorch's unpickler knows, one after the other: they do not jump. file
/// error, which begins with `place`, for another operation or an early end.
PickleNames pickle_names(std::string_view pickle, const std::string& place);

}  // namespace lora
