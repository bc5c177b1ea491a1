#include "support/script_models.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

namespace lora::test {
namespace {

constexpr int kVocabulary = 50, kHidden = 16, kInner = 24;

void add_linear(torch::jit::Module& module, const std::string& name, int out, int in) {
  module.register_parameter(name + "_weight", at::randn({out, in}) * 0.3, false);
}

}  // namespace

std::string too_large_from(int positions) {
  return "torch.linear(h + torch.zeros([(input_ids.numel() // " + std::to_string(positions) +
         ") * 1125899906842624]).sum(), self.head_weight)";
}

std::filesystem::path ScriptModels::transformer(const std::string& returns) {
  at::manual_seed(1);
  torch::jit::Module module("Tiny");
  module.register_parameter("embed_weight", at::randn({kVocabulary, kHidden}), false);
  for (const char* name : {"query", "key", "value", "output"}) add_linear(module, name, kHidden, kHidden);
  add_linear(module, "up", kInner, kHidden);
  add_linear(module, "down", kHidden, kInner);
  add_linear(module, "head", kVocabulary, kHidden);
  module.define(R"(
    def forward(self, input_ids, attention_mask: Optional[Tensor] = None):
        h = torch.embedding(self.embed_weight, input_ids)
        q = torch.linear(h, self.query_weight)
        k = torch.linear(h, self.key_weight)
        v = torch.matmul(h, self.value_weight.t())
        scores = torch.matmul(q, k.transpose(1, 2)) * 0.25
        causal = torch.ones_like(scores).tril()
        scores = scores.masked_fill(causal == 0, -1e9)
        if attention_mask is not None:
            scores = scores.masked_fill(attention_mask.unsqueeze(1) == 0, -1e9)
        a = torch.matmul(torch.softmax(scores, -1), v)
        h = h + torch.linear(a, self.output_weight)
        h = h + torch.linear(torch.relu(torch.linear(h, self.up_weight)), self.down_weight)
        logits = torch.linear(h, self.head_weight)
        return )" +
                returns + "\n");
  const auto path = folder_ / ("tiny" + std::to_string(std::hash<std::string>{}(returns)) + ".pt");
  module.save(path.string());
  return path;
}

std::filesystem::path ScriptModels::with_forward(const std::string& name, const std::string& code) {
  at::manual_seed(2);
  torch::jit::Module module(name);
  module.register_parameter("w", at::randn({8, 8}), false);
  module.register_attribute("count", c10::IntType::get(), 0);
  module.define(code);
  const auto path = folder_ / (name + ".pt");
  module.save(path.string());
  return path;
}

}  // namespace lora::test
