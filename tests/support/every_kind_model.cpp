#include "support/every_kind_model.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

namespace lora::test {
namespace {

constexpr int kVocabulary = 40, kHidden = 16, kInner = 24, kClasses = 3;

using torch::jit::Module;

Module leaf(const at::Tensor& weight, const at::Tensor& bias = {}) {
  Module module("Leaf");
  module.register_parameter("weight", weight, false);
  if (bias.defined()) module.register_parameter("bias", bias, false);
  return module;
}

class Builder {
 public:
  Builder(Head head, at::ScalarType type) : head_(head), type_(type) {}

  Module build() const {
    Module root("EveryKind");
    const at::Tensor embedding = weight({kVocabulary, kHidden});
    root.register_module("wte", leaf(embedding));
    root.register_module("attn", attention());
    root.register_module("mlp", mlp());
    if (head_ == Head::own) root.register_module("lm_head", leaf(weight({kVocabulary, kHidden})));
    if (head_ == Head::aliased) root.register_module("lm_head", leaf(embedding));
    if (head_ == Head::classifier)
      root.register_module("classifier", leaf(weight({kClasses, kHidden}), weight({kClasses})));
    root.define(R"(
    def forward(self, input_ids, attention_mask):
        h = torch.embedding(self.wte.weight, input_ids)
        flat = h.flatten(0, 1)
        qkv = torch.addmm(self.attn.c_attn.bias, flat, self.attn.c_attn.weight).view(h.size(0), h.size(1), 48)
        q = qkv[:, :, 0:16]
        k = qkv[:, :, 16:32]
        v = qkv[:, :, 32:48]
        scores = torch.matmul(q, k.transpose(1, 2)) * 0.25
        causal = torch.ones_like(scores).tril()
        scores = scores.masked_fill(causal == 0, -1e4)
        scores = scores.masked_fill(attention_mask.unsqueeze(1) == 0, -1e4)
        a = torch.matmul(torch.softmax(scores, -1), v)
        h = h + torch.linear(a, self.attn.c_proj.weight)
        up = torch.tanh(torch.linear(h, self.mlp.up.weight, self.mlp.up.bias))
        h = h + torch.matmul(up, self.mlp.down.weight)
)" + head_code());
    return root;
  }

 private:
  at::Tensor weight(at::IntArrayRef shape) const { return (at::randn(shape) * 0.3).to(type_); }

  Module attention() const {
    Module module("Attention");
    module.register_module("c_attn", leaf(weight({kHidden, 3 * kHidden}), weight({3 * kHidden})));
    module.register_module("c_proj", leaf(weight({kHidden, kHidden})));
    return module;
  }

  Module mlp() const {
    Module module("Mlp");
    module.register_module("up", leaf(weight({kInner, kHidden}), weight({kInner})));
    module.register_module("down", leaf(weight({kInner, kHidden})));
    return module;
  }

  std::string head_code() const {
    if (head_ == Head::classifier)
      return "        return torch.linear(h.mean(1), self.classifier.weight, self.classifier.bias)\n";
    const std::string owner = head_ == Head::shared ? "wte" : "lm_head";
    return "        return torch.linear(torch.tanh(h), self." + owner + ".weight)\n";
  }

  Head head_;
  at::ScalarType type_;
};

}  // namespace

std::filesystem::path every_kind_model(const std::filesystem::path& folder, Head head, at::ScalarType type,
                                       int seed) {
  at::manual_seed(static_cast<std::uint64_t>(seed));
  const auto path = folder / ("every_kind_" + std::to_string(static_cast<int>(head)) + "_" +
                              std::to_string(static_cast<int>(type)) + "_" + std::to_string(seed) + ".pt");
  Builder(head, type).build().save(path.string());
  return path;
}

std::filesystem::path like_named_model(const std::filesystem::path& folder) {
  at::manual_seed(1);
  const auto square = [] { return leaf(at::randn({8, 8})); };
  Module root("LikeNamed"), inner("Inner"), list("List");
  inner.register_module("same", square());
  list.register_module("0", square());
  root.register_module("inner", inner);
  root.register_module("same", square());
  root.register_module("list", list);
  root.define(R"(
    def forward(self, input_ids):
        h = torch.sin(input_ids.unsqueeze(-1) * torch.arange(1, 9))
        h = torch.linear(torch.linear(h, self.inner.same.weight), self.same.weight)
        return torch.linear(h, getattr(self.list, "0").weight)
)");
  const auto path = folder / "like_named.pt";
  root.save(path.string());
  return path;
}

ModelInputs every_kind_inputs() {
  ModelInputs inputs;
  inputs.input_ids = (at::arange(21, at::kLong) * 7 + 3).remainder(kVocabulary).view({3, 7});
  inputs.attention_mask = at::ones({3, 7}, at::kLong);
  inputs.attention_mask.narrow(0, 1, 1).narrow(1, 4, 3).zero_();
  inputs.attention_mask.narrow(0, 2, 1).narrow(1, 2, 5).zero_();
  return inputs;
}

}  // namespace lora::test
