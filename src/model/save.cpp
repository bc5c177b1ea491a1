#include <ATen/ATen.h>
#include <torch/csrc/jit/serialization/export.h>

#include <exception>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/model/program.h"
#include "model/archive.h"

namespace lora {
namespace {

constexpr const char* kProvenanceName = "lora_provenance.json";

/// Writes a tensor into the attribute at `path`.
void assign(const torch::jit::Module& module, const std::string& path, const at::Tensor& value) {
  c10::IValue owner = module._ivalue();
  const std::vector<std::string> names = split(path, '.');
  for (std::size_t i = 0; i + 1 < names.size(); ++i) owner = owner.toObject()->getAttr(names[i]);
  const at::Tensor old = owner.toObject()->getAttr(names.back()).toTensor();
  if (old.sizes() != value.sizes() || old.scalar_type() != value.scalar_type()) {
    throw Error(ExitCode::internal, cat("weight \"", path, "\" would change its shape or type when saved"));
  }
  owner.toObject()->setAttr(names.back(),
                            value.detach().cpu().contiguous().requires_grad_(old.requires_grad()));
}

}  // namespace

void save_model(const std::filesystem::path& source, PendingFile& out,
                const std::map<std::string, at::Tensor>& weights, const std::string& provenance_json) {
  Archive archive = load_archive(source);
  for (const auto& [path, value] : weights) assign(archive.module, path, value);
  archive.extra[kProvenanceName] = provenance_json;
  // LibTorch's writer aborts the process when its output fails: it is told that all went well, and then we
  // throw.
  std::exception_ptr failure;
  const auto write = [&](const void* data, std::size_t size) {
    try {
      if (!failure) out.write({static_cast<const char*>(data), size});
    } catch (...) {
      failure = std::current_exception();
    }
    return size;
  };
  try {
    torch::jit::ExportModule(archive.module, write,
                             torch::jit::ExtraFilesMap(archive.extra.begin(), archive.extra.end()));
  } catch (const c10::Error& error) {
    throw Error(ExitCode::file, cat("\"", source.string(), "\" cannot be written again: ",
                                    short_torch_message(error.what_without_backtrace())));
  }
  if (failure) std::rethrow_exception(failure);
}

void save_model(const std::filesystem::path& source, const std::filesystem::path& out,
                const std::map<std::string, at::Tensor>& weights, const std::string& provenance_json) {
  PendingFile file(out);
  save_model(source, file, weights, provenance_json);
  file.accept();
}

std::string read_provenance(const std::filesystem::path& path) {
  const ExtraFiles files = read_extra_files(path);
  const auto found = files.find(kProvenanceName);
  return found == files.end() ? std::string() : found->second;
}

}  // namespace lora
