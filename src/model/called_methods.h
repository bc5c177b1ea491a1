#pragma once

#include <string>

#include "model/archive_code.h"

namespace lora {

/// The code without methods called `name` and those that nothing else calls. Names stand for all methods of
/// that name, of whatever class, so that too much is kept rather than too little; what is kept is spelled as
/// before. file error, which begins with `place`, for what is no source.
ArchiveCode without_method(ArchiveCode code, const std::string& name, const std::string& place);

}  // namespace lora
