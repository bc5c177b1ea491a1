#include "model/import_module.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/operator_upgraders/upgraders_entry.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import_read.h>
#include <torch/csrc/jit/serialization/import_source.h>
#include <torch/csrc/jit/serialization/storage_context.h>

#include "model/mapped_reader.h"

namespace lora {
namespace {

constexpr std::uintptr_t kAlignment = 64;  ///< of tensors, as LibTorch writes and allocates them
constexpr std::string_view kDataFolder = "data/", kConstantsFolder = "constants/";

class Importer {
 public:
  Importer(const std::shared_ptr<MappedFile>& file, const std::vector<ZipEntry>& entries,
           const ArchiveCode& sources)
      : file_(file),
        sources_(sources),
        reader_(std::make_shared<MappedReader>(file)),
        types_(code_, &constants_, source_loader(), reader_.version()) {
    torch::jit::populate_upgraders_graph_map();
    for (const ZipEntry& entry : entries) {
      const auto root = entry.name.find('/');
      if (root != std::string::npos && entry.method == ZipEntry::kStored)
        stored_[entry.name.substr(root + 1)] = &entry;
    }
  }

  ImportedModule run() {
    constants_ = read("constants", kConstantsFolder).toTuple()->elements().vec();
    imported_.module = torch::jit::Module(read("data", kDataFolder).toObject());
    return std::move(imported_);
  }

 private:
  torch::jit::SourceLoader source_loader() {
    return [this](const std::string& qualifier) -> std::shared_ptr<torch::jit::Source> {
      const std::string* source = sources_.source_of(qualifier);
      return source ? std::make_shared<torch::jit::Source>(*source, source_path(qualifier), 1) : nullptr;
    };
  }

  /// LibTorch reads the directory of the archive itself: it must come to the pickle that was looked at.
  void check_same(const std::string& pickle) {
    const auto known = sources_.pickles.find(pickle);
    const auto [data, size] = reader_.getRecord(pickle);
    const std::string_view read(static_cast<const char*>(data.get()), size);
    TORCH_CHECK(known != sources_.pickles.end() && known->second == read, "two entries are called ", pickle);
  }

  c10::IValue read(const std::string& archive, std::string_view folder) {
    check_same(archive + ".pkl");
    const auto type = [this](const c10::QualifiedName& name) {
      return c10::StrongTypePtr(code_, types_.loadType(name));
    };
    return torch::jit::readArchiveAndTensors(archive, "", "", type, load_object, at::Device(at::kCPU),
                                             reader_, torch::jit::Unpickler::defaultTypeParser,
                                             map_storages(folder));
  }

  static c10::intrusive_ptr<c10::ivalue::Object> load_object(const c10::StrongTypePtr& type,
                                                             c10::IValue state) {
    const auto structure = type.type_->expect<c10::ClassType>();
    const std::size_t count = structure->numAttributes();
    auto object = c10::ivalue::Object::create(type, count);
    if (torch::jit::Function* restore = structure->findMethod("__setstate__")) {
      const torch::jit::GraphOptimizerEnabledGuard plain(false);  // types are not settled yet
      (*restore)({object, std::move(state)});
      for (std::size_t i = 0; i < count; ++i) {
        const bool may_be_none = c10::NoneType::get()->isSubtypeOf(*structure->getAttribute(i));
        TORCH_CHECK(may_be_none || !object->getSlot(i).isNone(), "__setstate__ leaves out attribute ",
                    structure->getAttributeName(i));
      }
      return object;
    }
    const auto attributes = std::move(state).toGenericDict();
    for (std::size_t i = 0; i < count; ++i) object->setSlot(i, attributes.at(structure->getAttributeName(i)));
    return object;
  }

  /// The unpickler looks for a storage here before it reads and copies one.
  std::shared_ptr<torch::jit::DeserializationStorageContext> map_storages(std::string_view folder) {
    auto context = std::make_shared<torch::jit::DeserializationStorageContext>();
    for (auto at = stored_.lower_bound(std::string(folder));
         at != stored_.end() && at->first.starts_with(folder); ++at) {
      const ZipEntry& entry = *at->second;
      char* data = file_->data() + (entry.bytes.data() - file_->bytes().data());
      if (entry.bytes.empty() || reinterpret_cast<std::uintptr_t>(data) % kAlignment != 0) continue;
      auto owner = std::make_unique<std::shared_ptr<MappedFile>>(file_);
      at::DataPtr pointer(
          data, owner.release(), [](void* share) { delete static_cast<std::shared_ptr<MappedFile>*>(share); },
          at::kCPU);
      context->addStorage(
          at->first.substr(folder.size()),
          c10::Storage(c10::Storage::use_byte_size_t(), entry.bytes.size(), std::move(pointer),
                       /*allocator=*/nullptr, /*resizable=*/false));
      imported_.entry_of_storage[data] = entry.name;
    }
    return context;
  }

  std::shared_ptr<MappedFile> file_;
  const ArchiveCode& sources_;
  caffe2::serialize::PyTorchStreamReader reader_;
  std::shared_ptr<torch::jit::CompilationUnit> code_ = std::make_shared<torch::jit::CompilationUnit>();
  std::vector<c10::IValue> constants_;
  torch::jit::SourceImporter types_;
  std::map<std::string, const ZipEntry*> stored_;
  ImportedModule imported_;
};

}  // namespace

ImportedModule import_module(std::shared_ptr<MappedFile> file, const std::vector<ZipEntry>& entries,
                             const ArchiveCode& code) {
  return Importer(file, entries, code).run();
}

}  // namespace lora
