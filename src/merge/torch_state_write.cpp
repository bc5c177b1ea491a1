#include <ATen/ATen.h>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "merge/storage_kind.h"
#include "merge/stored_zip.h"
#include "merge/torch_state.h"

namespace lora {
namespace {

template <class Number>
void put(std::string& bytes, Number value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_text(std::string& code, const std::string& text) {
  code += 'X';
  put(code, static_cast<std::uint32_t>(text.size()));
  code += text;
}

void put_integer(std::string& code, std::int64_t value) {
  code += "\x8a\x08";
  put(code, value);
}

void put_integers(std::string& code, at::IntArrayRef values) {
  code += '(';
  for (const std::int64_t value : values) put_integer(code, value);
  code += 't';
}

/// torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())
void put_tensor(std::string& code, const at::Tensor& tensor, const std::string& key) {
  const char* storage = nullptr;
  for (const StorageKind& kind : kStorages) {
    if (kind.type == tensor.scalar_type()) storage = kind.name;
  }
  if (!storage)
    throw Error(ExitCode::internal, cat("no storage class for ", at::toString(tensor.scalar_type())));
  code += "ctorch._utils\n_rebuild_tensor_v2\n((";
  put_text(code, "storage");
  code += cat("ctorch\n", storage, "\n");
  put_text(code, key);
  put_text(code, "cpu");
  put_integer(code, tensor.numel());
  code += "tQ";
  put_integer(code, 0);
  put_integers(code, tensor.sizes());
  put_integers(code, tensor.strides());
  code +=
      "\x89"
      "ccollections\nOrderedDict\n)RtR";
}

}  // namespace

std::string write_torch_state(const TensorMap& tensors) {
  std::map<std::string, std::string> entries;
  std::string code = "\x80\x02}(";
  std::size_t number = 0;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().cpu().contiguous();
    const std::string key = std::to_string(number++);
    put_text(code, name);
    put_tensor(code, plain, key);
    entries["archive/data/" + key] =
        std::string(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
  }
  entries["archive/data.pkl"] = code + "u.";
  entries["archive/byteorder"] = "little";
  entries["archive/version"] = "3\n";
  return write_stored_zip(entries);
}

}  // namespace lora
