#include "merge/output_folder.h"

#include "checkpoint/adapter_metadata.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

bool is_same(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
  if (fs::exists(a, ignored) && fs::exists(b, ignored)) return fs::equivalent(a, b, ignored);
  return fs::weakly_canonical(a, ignored) == fs::weakly_canonical(b, ignored);
}

}  // namespace

void check_output_folder(const fs::path& out, const std::vector<fs::path>& inputs, bool overwrite) {
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    throw Error(ExitCode::usage, cat("--out ", out.string(), what), hint);
  };
  for (const fs::path& input : inputs) {
    if (is_same(out, input)) refuse(cat(" is an input (", input.string(), ")"), "give the result a folder of its own");
  }
  std::error_code ignored;
  if (fs::exists(out, ignored) && !fs::is_directory(out, ignored)) refuse(" is a file", "give a folder");
  for (const char* file : {kConfigFile, kTensorFile}) {
    if (fs::exists(out / file, ignored) && !overwrite)
      refuse(" holds an adapter", "give another name, or --overwrite to replace it");
  }
  ensure_writable_folder(out);
}

}  // namespace lora
