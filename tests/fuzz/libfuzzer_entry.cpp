// The entry point of libFuzzer for the target that LORA_FUZZ_TARGET names.

#include <cstdint>
#include <cstdlib>
#include <exception>

#include "fuzz_target.h"
#include "lora/base/log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const lora::fuzz::FuzzTarget* target = [] {
    lora::set_log_level(lora::LogLevel::off);
    for (const auto& each : lora::fuzz::fuzz_targets()) {
      if (each.name == LORA_FUZZ_TARGET) return &each;
    }
    std::abort();
  }();
  lora::fuzz::try_input(*target, {reinterpret_cast<const char*>(data), size});
  return 0;
}
