#include "merge/output_path.h"

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

/// True if something there would be replaced.
bool is_taken(const Output& output) {
  std::error_code ignored;
  switch (output.kind) {
    case OutputKind::file:
      return fs::exists(output.path, ignored);
    case OutputKind::folder:
      return fs::exists(output.path, ignored) && !fs::is_empty(output.path, ignored);
    case OutputKind::adapter:
      return fs::exists(output.path / kConfigFile, ignored) || fs::exists(output.path / kTensorFile, ignored);
  }
  return false;
}

}  // namespace

void check_output(const Output& output, const std::vector<fs::path>& inputs, bool overwrite) {
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    throw Error(ExitCode::usage, cat(output.option, " ", output.path.string(), what), hint);
  };
  const bool wants_file = output.kind == OutputKind::file;
  std::error_code ignored;
  for (const fs::path& input : inputs) {
    if (is_same(output.path, input))
      refuse(cat(" is an input (", input.string(), ")"), "give the result a place of its own");
  }
  if (fs::exists(output.path, ignored) && fs::is_directory(output.path, ignored) == wants_file) {
    wants_file ? refuse(" is a folder", "give a file name") : refuse(" is a file", "give a folder");
  }
  if (is_taken(output) && !overwrite) {
    refuse(output.kind == OutputKind::adapter ? " holds an adapter" : " exists",
           "give another name, or --overwrite to replace it");
  }
  ensure_writable_folder(wants_file ? fs::absolute(output.path).parent_path() : output.path);
}

}  // namespace lora
