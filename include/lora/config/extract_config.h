#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge extract`.
struct ExtractConfig {
  std::string base, tuned, out;
  std::optional<std::int64_t> rank;
  std::optional<double> error, energy;
  std::vector<std::string> targets = {"all-linear"};
  std::vector<std::string> exclude;
  std::string layers;
  bool whole = false, exact = false;
  std::int64_t seed = 42, threads = 0;
  bool overwrite = false, json = false;

  template <class V>
  void visit(V& v) {
    v.section("Models");
    v("base", base, "the model before fine-tuning: TorchScript file (.pt) or folder with safetensors files",
      Placeholder{"PATH"}, Required{});
    v("tuned", tuned, "the same model after fine-tuning", Placeholder{"PATH"}, Required{});
    v.section("Extract");
    v("out", out, "adapter folder to write", Placeholder{"DIR"}, Required{});
    v("rank", rank, "rank of every module", at_least(1));
    v("error", error, "instead: the smallest rank of each module with this relative Frobenius error",
      between(0, 1));
    v("energy", energy, "instead: the smallest rank of each module that keeps this share of the squared norm",
      between(0, 1));
    v("targets", targets,
      "modules to extract from: all-linear, attention, qv, mlp, a name or suffix, or /regex/",
      Placeholder{"NAME"}, CommaSeparated{});
    v("exclude", exclude, "modules to leave out, in the same forms", Placeholder{"NAME"}, CommaSeparated{});
    v("layers", layers, "only these layers: 0-5,8 or first:4 or last:8", Placeholder{"RANGE"});
    v("whole", whole,
      "store modules that changed and are no targets (norms, heads) whole, as modules_to_save");
    v("exact", exact, "full SVD instead of the randomised one");
    v("seed", seed, "of the randomised SVD", at_least(0));
    v("threads", threads, "CPU threads; 0 = all usable cores", at_least(0));
    v("overwrite", overwrite, "replace an adapter in the output folder");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
