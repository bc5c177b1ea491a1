#include "merge/undo.h"

#include <ATen/ATen.h>

#include <cstring>

#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"
#include "lora/checkpoint/safetensors.h"
#include "merge/byte_planes.h"

namespace lora {
namespace {

constexpr const char* kUndoKey = "lora.undo";

at::Tensor as_tensor(const std::string& bytes) {
  const at::Tensor tensor = at::empty({static_cast<std::int64_t>(bytes.size())}, at::kByte);
  std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace

std::string_view bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

Undo::Undo(const std::filesystem::path& path) : place_(path.string()) {
  SafetensorsFile file = read_safetensors(path);
  const auto stated = file.metadata.find(kUndoKey);
  if (stated == file.metadata.end()) {
    throw Error(ExitCode::file, cat(place_, " is no undo file"),
                "give the file that lora-merge bake --undo FILE wrote with the merged model");
  }
  const JsonOrigin origin{cat(place_, " (", kUndoKey, ")"), ExitCode::file};
  const Json json = parse_json(stated->second, origin);
  const auto damaged = [&] {
    return Error(ExitCode::file, cat(place_, ": its tensors are not those that it lists"));
  };
  if (!json.is_object() || !json.contains("sha256") || !json["sha256"].is_object() || !json.contains("facts"))
    throw damaged();
  facts = json["facts"];
  for (const auto& [name, hash] : json["sha256"].items()) {
    const auto tensor = file.tensors.find(name);
    if (tensor == file.tensors.end() || tensor->second.scalar_type() != at::kByte) throw damaged();
    entries_[name] = {tensor->second, json_string(hash, name, origin)};
  }
  if (entries_.size() != file.tensors.size()) throw damaged();
}

void Undo::add(const std::string& name, const at::Tensor& before, const at::Tensor& after) {
  const at::Tensor old = before.detach().cpu().contiguous(), merged = after.detach().cpu().contiguous();
  entries_[name] = {as_tensor(encode_difference(bytes_of(old), bytes_of(merged), old.element_size())),
                    sha256(bytes_of(old))};
}

void Undo::write(const std::filesystem::path& path) const {
  SafetensorsFile file;
  Json hashes = Json::object();
  for (const auto& [name, entry] : entries_) {
    file.tensors[name] = entry.difference;
    hashes[name] = entry.sha256;
  }
  file.metadata[kUndoKey] = Json({{"sha256", hashes}, {"facts", facts}}).dump();
  write_file_atomically(path, serialize_safetensors(file));
}

std::vector<std::string> Undo::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

at::Tensor Undo::before(const std::string& name, const at::Tensor& after) const {
  const Entry& entry = entries_.at(name);
  const at::Tensor merged = after.detach().cpu().contiguous();
  const std::string bytes =
      decode_difference(bytes_of(entry.difference), bytes_of(merged), merged.element_size(),
                        cat(place_, ", tensor \"", printable(name), "\""));
  if (sha256(bytes) != entry.sha256) {
    throw Error(ExitCode::mismatch,
                cat("\"", printable(name),
                    "\" is not what the merge made: taking it back does not give the base's bytes"),
                "give the merged model that was written together with the undo file");
  }
  const at::Tensor old = at::empty_like(merged);
  std::memcpy(old.data_ptr(), bytes.data(), bytes.size());
  return old;
}

}  // namespace lora
