#include "model/run_graph.h"

#include "lora/base/error.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "model/archive.h"

namespace lora {
namespace {

[[noreturn]] void fail_run(const std::exception& error) {
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  const std::string text = short_torch_message(torch ? torch->what_without_backtrace() : error.what());
  if (is_out_of_memory(error))
    throw Error(ExitCode::memory, cat("not enough memory: ", text), "lower --batch-tokens or --max-length");
  throw Error(ExitCode::mismatch, cat("the model refused its inputs: ", text),
              "check that the tokenizer belongs to the model and that rows fit its context length");
}

}  // namespace

std::vector<c10::IValue> run_code(const torch::jit::Code& code, std::vector<c10::IValue> stack) {
  try {
    torch::jit::InterpreterState(code).run(stack);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail_run(error);
  }
  return stack;
}

c10::IValue run_graph(const torch::jit::Code& code, std::vector<c10::IValue> stack) {
  return run_code(code, std::move(stack)).back();
}

at::Tensor logits_of(const c10::IValue& output) {
  if (output.isTensor()) return output.toTensor();
  if (output.isTuple() && !output.toTupleRef().elements().empty())
    return logits_of(output.toTupleRef().elements()[0]);
  if (output.isTensorList() && !output.toTensorVector().empty()) return output.toTensorVector().front();
  if (output.isGenericDict()) {
    const auto dict = output.toGenericDict();
    if (const auto found = dict.find("logits"); found != dict.end()) return logits_of(found->value());
  }
  throw Error(ExitCode::file,
              "the model's forward returns no logits (a tensor, a tuple that starts with one, or a "
              "dictionary with the entry \"logits\")",
              "export it with scripts/export_model.py");
}

}  // namespace lora
