#include "data/encoded_example.h"

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

EncodedExample too_long(std::size_t size, const EncodeOptions& options) {
  if (options.overlong == Overlong::error) {
    throw Error(ExitCode::data, cat("the row has ", size, " tokens, at most ", options.max_length, " fit"),
                "raise --max-length, or let --on-overlong cut or drop such rows");
  }
  EncodedExample example;
  example.too_long = true;
  return example;
}

}  // namespace lora
