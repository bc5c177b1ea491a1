#include <ATen/ATen.h>
#include <torch/csrc/jit/serialization/export.h>

#include <exception>
#include <optional>

#include "base/zip_writer.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/model/program.h"
#include "model/archive.h"
#include "model/model_trust.h"
#include "model/program_impl.h"

namespace lora {
namespace {

constexpr const char* kProvenanceName = "lora_provenance.json";

/// The object that holds the attribute at `path`, and the attribute's name.
std::pair<c10::intrusive_ptr<c10::ivalue::Object>, std::string> owner_of(const torch::jit::Module& module,
                                                                         const std::string& path) {
  auto owner = module._ivalue();
  const std::vector<std::string> names = split(path, '.');
  for (std::size_t i = 0; i + 1 < names.size(); ++i) owner = owner->getAttr(names[i]).toObject();
  return {owner, names.back()};
}

void check_same_type(const torch::jit::Module& module, const std::string& path, const at::Tensor& value) {
  const auto [owner, name] = owner_of(module, path);
  const at::Tensor old = owner->getAttr(name).toTensor();
  if (old.sizes() != value.sizes() || old.scalar_type() != value.scalar_type())
    throw Error(ExitCode::internal, cat("weight \"", path, "\" would change its shape or type when saved"));
}

void assign(const torch::jit::Module& module, const std::string& path, const at::Tensor& value) {
  const auto [owner, name] = owner_of(module, path);
  const bool requires_grad = owner->getAttr(name).toTensor().requires_grad();
  owner->setAttr(name, value.detach().cpu().contiguous().requires_grad_(requires_grad));
}

/// New content of archive entries by name.
using NewContent = std::map<std::string, at::Tensor>;

/// The entries that hold the weights' tensors; nothing if an entry also holds what must stay, or if LibTorch
/// laid a tensor out otherwise: then the file's structure has to change.
std::optional<NewContent> new_content(const Archive& archive,
                                      const std::map<std::string, at::Tensor>& weights) {
  NewContent content;
  bool fits = true;
  for (const auto& attribute : archive.module.named_attributes()) {
    if (attribute.value.isObject()) continue;
    const auto weight = weights.find(attribute.name);
    const at::Tensor value = weight == weights.end() ? at::Tensor() : weight->second;
    attribute.value.visit([&](const c10::IValue& part) {
      if (!part.isTensor() || !part.toTensor().has_storage()) return false;
      const at::Tensor old = part.toTensor();
      const auto entry = archive.entry_of_storage.find(old.storage().data());
      if (entry != archive.entry_of_storage.end())
        fits &= content.emplace(entry->second, value).first->second.is_same(value);
      if (value.defined()) {
        fits &= entry != archive.entry_of_storage.end() && old.is_contiguous() &&
                old.nbytes() == old.storage().nbytes();
      }
      return false;
    });
  }
  if (!fits) return std::nullopt;
  std::erase_if(content, [](const auto& each) { return !each.second.defined(); });
  return content;
}

/// A copy of the archive with other bytes in some entries.
void copy_archive(const Archive& archive, const NewContent& content, const std::string& provenance_json,
                  PendingFile& out) {
  ZipWriter writer([&](std::string_view bytes) { out.write(bytes); });
  const std::string root = archive.entries.front().name.substr(0, archive.entries.front().name.find('/') + 1);
  const std::string provenance = cat(root, kExtraFolder, kProvenanceName);
  for (const ZipEntry& entry : archive.entries) {
    if (entry.name == provenance) continue;
    if (const auto found = content.find(entry.name); found != content.end()) {
      const at::Tensor value = found->second.detach().cpu().contiguous();
      writer.add(entry.name, {static_cast<const char*>(value.const_data_ptr()), value.nbytes()});
    } else {
      writer.copy(entry);
    }
  }
  if (!provenance_json.empty()) writer.add(provenance, provenance_json);
  writer.finish();
}

/// LibTorch's own serialisation.
void export_archive(const Archive& archive, PendingFile& out) {
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
  torch::jit::ExportModule(archive.module, write,
                           torch::jit::ExtraFilesMap(archive.extra.begin(), archive.extra.end()));
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void Program::save(PendingFile& out, const std::map<std::string, at::Tensor>& weights,
                   const std::string& provenance_json) const {
  for (const auto& [path, value] : weights) check_same_type(impl_->archive.module, path, value);
  remember_own_file(out.path());
  if (const auto content = new_content(impl_->archive, weights))
    return copy_archive(impl_->archive, *content, provenance_json, out);
  Archive changed = load_archive(path());
  for (const auto& [path, value] : weights) assign(changed.module, path, value);
  changed.extra.erase(kProvenanceName);
  if (!provenance_json.empty()) changed.extra[kProvenanceName] = provenance_json;
  try {
    export_archive(changed, out);
  } catch (const c10::Error& error) {
    throw Error(ExitCode::file, cat("\"", path().string(), "\" cannot be written again: ",
                                    short_torch_message(error.what_without_backtrace())));
  }
}

void Program::save(const std::filesystem::path& out, const std::map<std::string, at::Tensor>& weights,
                   const std::string& provenance_json) const {
  PendingFile file(out);
  save(file, weights, provenance_json);
  file.accept();
}

std::string read_provenance(const std::filesystem::path& path) {
  const ExtraFiles files = read_extra_files(path);
  const auto found = files.find(kProvenanceName);
  return found == files.end() ? std::string() : found->second;
}

}  // namespace lora
