// make_adapter MODEL OUT TARGETS SAVED RANK ALPHA [METHOD [BIAS [TOKENS]]]
//
// Writes an adapter folder OUT for MODEL with random tensors, so that every one of them matters. TARGETS and
// SAVED (modules trained whole) and TOKENS (ids of trained embedding rows) are comma-separated, "-" for none;
// a negative ALPHA asks for the rank-stabilised scale.
#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>
#include <iostream>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"

int main(int argc, char** argv) {
  if (argc < 7 || argc > 10) {
    std::cerr << "usage: make_adapter MODEL OUT TARGETS SAVED RANK ALPHA [METHOD [BIAS [TOKENS]]]\n";
    return 2;
  }
  try {
    const lora::Program program = lora::Program::load(argv[1]);
    const double alpha = std::atof(argv[6]);
    const lora::MethodConfig config{argc > 7 ? argv[7] : "lora", std::atoi(argv[5]), std::abs(alpha), 0,
                                    alpha < 0};
    const std::string patterns = argv[3], saved = argv[4];
    std::vector<lora::Target> targets;
    if (patterns != "-")
      targets = lora::resolve_targets(program.sites(), {lora::split(patterns, ','), {}, ""});
    lora::Adapter adapter = lora::create_adapter(
        program, targets, config, saved == "-" ? std::vector<std::string>{} : lora::split(saved, ','), 1);
    if (argc > 8) lora::add_biases(program, adapter, argv[8]);
    if (argc > 9) {
      std::vector<std::int64_t> ids;
      for (const std::string& id : lora::split(argv[9], ',')) ids.push_back(std::stoll(id));
      lora::add_token_rows(program, adapter, "", ids);
    }
    at::manual_seed(2);
    for (auto& [name, tensor] : adapter.tensors()) tensor->add_(at::randn(tensor->sizes()) * 0.1);
    lora::write_adapter_folder(
        argv[2], pack_adapter(program, adapter, {program.info().name, program.fingerprint(), "", {}}),
        "random");
    return 0;
  } catch (const lora::Error& error) {
    std::cerr << error.what() << "\n" << error.hint() << "\n";
    return static_cast<int>(error.code());
  }
}
