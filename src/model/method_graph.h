#pragma once

#include <string>
#include <vector>

#include "model/program_impl.h"

namespace lora {

/// A method of the file beside forward (`packed`, `decode`) as a graph over the program's weights.
struct MethodGraph {
  Lowered lowered;
  std::vector<const at::Tensor*> weights;  ///< by slot: the program's, so that replaced ones count

  /// Lowers it; errors as lower_method(). The program must outlive it.
  MethodGraph(const Program::Impl& program, const std::string& method, const std::vector<std::string>& inputs,
              std::size_t outputs);
  MethodGraph(const MethodGraph&) = delete;

  /// The method's inputs, then the weights.
  std::vector<c10::IValue> stack(std::vector<c10::IValue> inputs) const;
};

/// For each hooked site of forward the number of the same site in another graph. internal error if it is not
/// there.
std::vector<std::size_t> same_sites(const std::vector<HookedSite>& hooks,
                                    const std::vector<LocatedSite>& located);

}  // namespace lora
