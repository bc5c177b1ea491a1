#include "adapter/dropout.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <optional>

namespace lora {
namespace {

std::optional<at::Generator>& own_generator() {
  thread_local std::optional<at::Generator> generator;
  return generator;
}

}  // namespace

at::Tensor with_dropout(const at::Tensor& x, double p, bool training) {
  if (!own_generator() || !training || p == 0) return at::dropout(x, p, training);
  return x * at::empty_like(x).bernoulli_(1 - p, own_generator()).div_(1 - p);
}

OwnDropout::OwnDropout(std::uint64_t seed) { own_generator() = at::detail::createCPUGenerator(seed); }

OwnDropout::~OwnDropout() { own_generator().reset(); }

}  // namespace lora
