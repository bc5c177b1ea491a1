#pragma once

namespace lora {

/// The project's version, as CMakeLists.txt states it: "0.1.0".
const char* version();

}  // namespace lora
