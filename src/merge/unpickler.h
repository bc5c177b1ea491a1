#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "merge/storage_kind.h"

namespace lora {

struct PickledValue;
using PickledValues = std::vector<PickledValue>;

/// What a pickle builds. Texts are views of it.
struct PickledValue {
  enum class Kind {
    none,
    integer,
    text,
    sequence,
    dictionary,
    global,
    storage,
    tensor,
    mark
  } kind = Kind::none;
  std::int64_t integer = 0;
  std::string_view text;                      ///< of text; name of global; key of storage
  std::shared_ptr<PickledValues> items = {};  ///< of a sequence; keys and values of a dictionary in turn
  const StorageKind* storage = nullptr;       ///< of a storage and its class
  at::Tensor tensor = {};
};

/// A tensor is some 25 values.
inline constexpr std::size_t kMostPickledValues = 1 << 17;

/// What the pickle `code` builds from storages among `entries` of an archive, whose names begin with
/// `prefix`: handed to `use`, because nothing of it outlives the call. file error, which begins with `place`,
/// for anything but dictionaries, lists, numbers, strings and tensors that take no more than the archive.
void unpickle(std::string_view code, const std::map<std::string, std::string_view>& entries,
              const std::string& prefix, const std::string& place,
              const std::function<void(const PickledValue&)>& use);

}  // namespace lora
