#include "merge/torch_state.h"

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "merge/stored_zip.h"
#include "merge/unpickler.h"

namespace lora {
namespace {

/// Gathers the tensors of a dictionary and of the dictionaries in it. A dictionary may hold itself, and hold
/// another twice: depth and number are limited.
class Collection {
 public:
  explicit Collection(const std::string& place) : place_(place) {}

  void add(const PickledValue& dictionary, const std::string& prefix, std::size_t depth) {
    if (depth > kMostDepth) fail("dictionaries are nested too deep");
    for (std::size_t i = 0; i + 1 < dictionary.items->size(); i += 2) {
      const PickledValue &key = (*dictionary.items)[i], &item = (*dictionary.items)[i + 1];
      if (++visited_ > kMostPickledValues) fail("it holds too many tensors");
      if (key.kind != PickledValue::Kind::text) continue;
      if (prefix.size() + key.text.size() > kMostName) fail("a tensor's name is too long");
      const std::string name = cat(prefix, key.text);
      if (item.kind == PickledValue::Kind::dictionary) add(item, name + ".", depth + 1);
      if (item.kind == PickledValue::Kind::tensor) tensors_[name] = item.tensor;
    }
  }

  TensorMap take() { return std::move(tensors_); }

 private:
  static constexpr std::size_t kMostDepth = 64, kMostName = 1024;

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ExitCode::file, cat(place_, ": ", what), "give the file of lora_state_dict");
  }

  const std::string& place_;
  std::size_t visited_ = 0;
  TensorMap tensors_;
};

}  // namespace

TensorMap read_torch_state(std::string_view archive, const std::string& place) {
  const auto entries = read_stored_zip(archive, place);
  for (const auto& [name, bytes] : entries) {
    constexpr std::string_view kData = "data.pkl";
    if (!name.ends_with(kData)) continue;
    const std::string prefix = name.substr(0, name.size() - kData.size());
    if (entries.count(prefix + "constants.pkl"))
      throw Error(ExitCode::file, cat(place, " is a TorchScript model, not an adapter"),
                  "give the file of lora_state_dict");
    Collection collection(place);
    bool is_dictionary = false;
    unpickle(bytes, entries, prefix, place, [&](const PickledValue& state) {
      is_dictionary = state.kind == PickledValue::Kind::dictionary;
      if (is_dictionary) collection.add(state, "", 0);
    });
    if (!is_dictionary) break;
    return collection.take();
  }
  throw Error(ExitCode::file, cat(place, " holds no dictionary of tensors"),
              "save it with torch.save(lora_state_dict(model), path)");
}

}  // namespace lora
