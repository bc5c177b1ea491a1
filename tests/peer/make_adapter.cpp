// make_adapter MODEL OUT TARGETS SAVED RANK ALPHA
//
// Writes an adapter folder OUT for MODEL with random tensors, so that every one of them matters. TARGETS and
// SAVED (modules trained whole, "-" for none) are comma-separated; a negative ALPHA asks for the
// rank-stabilised scale.
#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>
#include <iostream>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"

int main(int argc, char** argv) {
  if (argc != 7) {
    std::cerr << "usage: make_adapter MODEL OUT TARGETS SAVED RANK ALPHA\n";
    return 2;
  }
  try {
    const lora::Program program = lora::Program::load(argv[1]);
    const double alpha = std::atof(argv[6]);
    const lora::MethodConfig config{"lora", std::atoi(argv[5]), std::abs(alpha), 0, alpha < 0};
    const std::string saved = argv[4];
    const auto targets = lora::resolve_targets(program.sites(), {lora::split(argv[3], ','), {}, ""});
    lora::Adapter adapter = lora::create_adapter(
        program, targets, config, saved == "-" ? std::vector<std::string>{} : lora::split(saved, ','), 1);
    at::manual_seed(2);
    for (auto& [name, tensor] : adapter.tensors()) tensor->add_(at::randn(tensor->sizes()) * 0.1);
    lora::write_adapter_folder(argv[2], pack_adapter(program, adapter, {program.info().name, program.fingerprint(), "", {}}), "random");
    return 0;
  } catch (const lora::Error& error) {
    std::cerr << error.what() << "\n" << error.hint() << "\n";
    return static_cast<int>(error.code());
  }
}
