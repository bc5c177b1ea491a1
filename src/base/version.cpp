#include "lora/base/version.h"

namespace lora {

const char* version() { return LORA_VERSION; }

}  // namespace lora
