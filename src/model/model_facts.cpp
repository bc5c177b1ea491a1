#include "model/model_facts.h"

#include "lora/base/process.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char* kKind = "model";

}  // namespace

ModelFacts::ModelFacts(const Cache& cache, const std::filesystem::path& file) : cache_(cache) {
  if (!cache_.is_on()) return;
  const std::string identity = file_identity(file);
  if (!identity.empty()) origin_ = cat(identity, "|", program_identity(), "|", cpu_name());
}

std::string ModelFacts::key(const std::string& name) const { return sha256(cat(origin_, "|", name)); }

Json ModelFacts::find(const std::string& name) const {
  if (origin_.empty()) return nullptr;
  const auto text = cache_.read(kKind, key(name));
  return text ? parse_json(*text, {"cache of models", ExitCode::internal}) : Json();
}

void ModelFacts::keep(const std::string& name, const Json& fact) const {
  if (!origin_.empty()) cache_.write(kKind, key(name), fact.dump());
}

}  // namespace lora
