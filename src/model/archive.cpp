#include "model/archive.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/import.h>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::string_view kExtraFolder = "extra/";
constexpr const char* kExportHint =
    "make one with scripts/export_model.py SOURCE OUT.pt, or save torch.jit.trace(...) with .save()";

[[noreturn]] void fail_load(const std::filesystem::path& path, const std::string& why) {
  throw Error(ExitCode::file, cat("\"", path.string(), "\" is no readable TorchScript file: ", why),
              kExportHint);
}

void check_readable(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    throw Error(ExitCode::file, cat("model file \"", path.string(), "\" does not exist"), kExportHint);
  }
  if (!std::filesystem::is_regular_file(path, ignored)) fail_load(path, "it is not a regular file");
  if (std::filesystem::file_size(path, ignored) == 0) fail_load(path, "it is empty");
}

std::vector<std::string> extra_names(const std::filesystem::path& path) {
  caffe2::serialize::PyTorchStreamReader reader(path.string());
  if (!reader.hasRecord("constants.pkl")) {
    fail_load(path, "it is a ZIP archive without TorchScript code (a torch.save() file?)");
  }
  std::vector<std::string> names;
  for (const std::string& record : reader.getAllRecords()) {
    if (record.starts_with(kExtraFolder)) names.push_back(record.substr(kExtraFolder.size()));
  }
  return names;
}

template <class Function>
auto reading(const std::filesystem::path& path, Function function) {
  check_readable(path);
  try {
    return function();
  } catch (const c10::OutOfMemoryError&) {
    throw Error(ExitCode::memory, cat("not enough memory to load \"", path.string(), "\""));
  } catch (const c10::Error& error) {
    fail_load(path, short_torch_message(error.what_without_backtrace()));
  }
}

}  // namespace

std::string short_torch_message(const std::string& what) {
  std::string_view text = what;
  if (const auto trace = text.find("Traceback of TorchScript"); trace != std::string_view::npos) {
    if (const auto last = text.rfind("RuntimeError: "); last != std::string_view::npos && last > trace) {
      text = text.substr(last + std::string_view("RuntimeError: ").size());
    }
  }
  for (std::string_view mark : {"\nException raised from", "\nFile \"", "\n"}) {
    if (const auto end = text.find(mark); end != std::string_view::npos && end > 0)
      text = text.substr(0, end);
  }
  return printable(trim(text));
}

Archive load_archive(const std::filesystem::path& path) {
  return reading(path, [&] {
    torch::jit::ExtraFilesMap extra;
    for (const std::string& name : extra_names(path)) extra[name] = "";
    torch::jit::Module module = torch::jit::load(path.string(), at::kCPU, extra);
    if (module.hasattr("training")) module.eval();
    return Archive{std::move(module), ExtraFiles(extra.begin(), extra.end())};
  });
}

ExtraFiles read_extra_files(const std::filesystem::path& path) {
  return reading(path, [&] {
    ExtraFiles files;
    const auto names = extra_names(path);
    caffe2::serialize::PyTorchStreamReader reader(path.string());
    for (const std::string& name : names) {
      auto [data, size] = reader.getRecord(cat(kExtraFolder, name));
      files[name] = std::string(static_cast<const char*>(data.get()), size);
    }
    return files;
  });
}

}  // namespace lora
