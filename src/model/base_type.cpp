#include <ATen/ATen.h>

#include <map>

#include "base/pages.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/model/program.h"
#include "model/program_impl.h"
#include "model/sites.h"

namespace lora {
namespace {

bool is_mapped(MappedFile& file, const at::Tensor& tensor) {
  const auto* place = static_cast<const char*>(tensor.const_data_ptr());
  return tensor.is_cpu() && place >= file.data() && place < file.data() + file.bytes().size();
}

/// Paths of weights that are only multiplied with or looked up in.
std::vector<std::string> convertible(const Lowered& lowered, const std::string& prefix) {
  std::map<std::string, bool> simple;
  for (const LocatedSite& located : locate_sites(lowered, prefix)) {
    bool& all = simple.emplace(located.site.weight, true).first->second;
    for (const SiteUse& use : located.uses)
      all = all && is_any(use.node, {"aten::linear", "aten::addmm", "aten::embedding"});
  }
  std::vector<std::string> paths;
  for (const auto& [path, all] : simple)
    if (all) paths.push_back(path);
  return paths;
}

}  // namespace

void Program::use_base_type(at::ScalarType type) {
  Impl& program = *impl_;
  // Comparisons with the plain graph come first: rounding is larger than what they look for.
  program.usable_rewrites();
  program.can_split();
  program.usable_packed();
  for (const std::string& path : convertible(program.lowered, program.info.key_prefix)) {
    at::Tensor& value = program.lowered.weights[program.weight_of_path.at(path)].value;
    if (value.scalar_type() == type) continue;
    const at::Tensor wide = value;
    value = wide.to(type);
    if (is_mapped(*program.archive.file, wide)) release_pages(wide.const_data_ptr(), wide.nbytes());
  }
  program.keeps_narrow = true;
  try {
    const at::NoGradGuard no_grad;
    executable().logits(program.probe_inputs());
  } catch (const Error& error) {
    throw Error(ExitCode::file,
                cat("--base-dtype: the model does not run with its weights in ", at::toString(type), ": ",
                    error.what()),
                "leave the option out");
  }
}

}  // namespace lora
