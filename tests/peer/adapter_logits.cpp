// adapter_logits MODEL ADAPTER OUT < {"input_ids": [[...]], "attention_mask": [[...]]}
//
// Writes the logits of MODEL with the adapter folder ADAPTER ("-": none), unmerged, as the tensor "logits" of
// the safetensors file OUT: for comparison with PEFT.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <iostream>
#include <iterator>

#include "base/json.h"
#include "lora/base/files.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/checkpoint/safetensors.h"

namespace {

at::Tensor matrix(const lora::Json& rows) {
  std::vector<std::int64_t> numbers;
  for (const lora::Json& row : rows) numbers.insert(numbers.end(), row.begin(), row.end());
  const auto count = static_cast<std::int64_t>(rows.size());
  return at::tensor(numbers, at::kLong).view({count, -1});
}

void write_logits(const std::string& model, const std::string& folder, const std::string& out,
                  const lora::Json& batch) {
  const at::NoGradGuard no_grad;
  lora::Program program = lora::Program::load(model);
  lora::Adapter adapter;
  if (folder != "-") adapter = lora::fit_adapter(lora::read_adapter_folder(folder), program);
  for (const auto& [path, value] : adapter.saved_weights) program.set_weight(path, value);
  const bool training = false;
  const lora::ModelInputs inputs{matrix(batch["input_ids"]), matrix(batch["attention_mask"]), {}};
  const at::Tensor logits = program.executable(lora::make_hooks(adapter, training)).logits(inputs);
  lora::write_file_atomically(out, lora::serialize_safetensors({{{"logits", logits}}, {}}));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: adapter_logits MODEL ADAPTER OUT < BATCH\n";
    return 2;
  }
  try {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    write_logits(argv[1], argv[2], argv[3], lora::parse_json(text, {"stdin"}));
    return 0;
  } catch (const lora::Error& error) {
    std::cerr << error.what() << "\n" << error.hint() << "\n";
    return static_cast<int>(error.code());
  }
}
