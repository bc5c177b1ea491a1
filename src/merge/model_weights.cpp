#include "merge/model_weights.h"

#include <ATen/ATen.h>

#include "adapter/saved_modules.h"
#include "lora/model/program.h"
#include "merge/folder_weights.h"

namespace lora {
namespace {

class ScriptWeights : public ModelWeights {
 public:
  explicit ScriptWeights(const std::filesystem::path& path) : program_(Program::load(path)) {
    for (const Weight& weight : program_.weights()) {
      WeightFacts facts{weight.value.sizes().vec(), weight.is_parameter && weight.value.is_floating_point(),
                        !weight.aliases.empty()};
      for (const Site& site : program_.sites())
        facts.tied |= site.tied && &program_.weight(site.weight) == &weight;
      facts_.emplace(plain(weight.path), std::move(facts));
      paths_.emplace(plain(weight.path), weight.path);
    }
    sites_ = program_.sites();
    for (Site& site : sites_) site.weight = plain(program_.weight(site.weight).path);
  }

  const std::filesystem::path& path() const override { return program_.path(); }
  const std::map<std::string, WeightFacts>& facts() const override { return facts_; }
  at::Tensor load(const std::string& weight) const override {
    return program_.weight(paths_.at(weight)).value;
  }
  const std::vector<Site>& sites() const override { return sites_; }
  std::string task_type() const override {
    return has_text_head(program_.info().task) ? "SEQ_CLS" : "CAUSAL_LM";
  }
  AdapterProvenance provenance() const override {
    return {program_.info().name.empty() ? program_.path().string() : program_.info().name,
            program_.fingerprint(),
            "",
            {},
            class_names(program_.info())};
  }

 private:
  std::string plain(const std::string& path) const { return plain_path(program_, path); }

  Program program_;
  std::map<std::string, WeightFacts> facts_;
  std::map<std::string, std::string> paths_;  ///< plain path -> path in the file
  std::vector<Site> sites_;
};

}  // namespace

std::unique_ptr<ModelWeights> open_model_weights(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return std::make_unique<FolderWeights>(path);
  return std::make_unique<ScriptWeights>(path);
}

}  // namespace lora
