#pragma once

#include <caffe2/serialize/read_adapter_interface.h>

#include <cstring>
#include <memory>

#include "lora/base/files.h"

namespace lora {

/// Lets LibTorch's archive reader read from a mapping.
class MappedReader : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit MappedReader(std::shared_ptr<MappedFile> file) : file_(std::move(file)) {}

  size_t size() const override { return file_->bytes().size(); }
  size_t read(std::uint64_t position, void* buffer, size_t count, const char*) const override {
    const std::string_view bytes = file_->bytes();
    if (position >= bytes.size()) return 0;
    const std::string_view part = bytes.substr(position, count);
    std::memcpy(buffer, part.data(), part.size());
    return part.size();
  }

 private:
  std::shared_ptr<MappedFile> file_;
};

}  // namespace lora
