#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "lora/model/program.h"

namespace lora {

/// Trained tensors of one target by their PEFT leaf name ("lora_A.weight", "lora_B.weight").
using SiteTensors = std::map<std::string, at::Tensor>;

struct MethodConfig {
  std::string method = "lora";
  std::int64_t rank = 16;
  double alpha = 32;
  double dropout = 0;
  bool rank_stabilised = false;  ///< scale by alpha / sqrt(rank) (rsLoRA, arXiv:2312.03732)
  std::string init = "default";  ///< how the factors start: initial_factors.h
  bool freeze_a =
      false;  ///< the factor that is random at the start stays as it is (LoRA-FA, arXiv:2308.03303)

  /// What the low-rank product is multiplied by: alpha / rank (LoRA paper, section 4.1).
  double scale() const;
  /// Sets alpha so that scale() is `scale` at the present rank.
  void set_scale(double scale);
};

/// What is trained at a target. Stateless: one row of the table in methods.cpp.
class Method {
 public:
  virtual ~Method() = default;
  virtual std::string name() const = 0;

  /// Fresh tensors such that forward() equals the base, whose `weight` is given as stored; drawn from
  /// `generator`.
  virtual SiteTensors create(const Target& target, const MethodConfig& config, const at::Tensor& weight,
                             at::Generator& generator) const = 0;

  /// False if the updates of two targets that share outputs do not add up.
  virtual bool is_additive() const { return true; }

  /// False if no weight computes what forward() computes: effective_weight() is then a mismatch error.
  virtual bool is_mergeable() const { return true; }

  /// True if forward() also computes the frozen output, where values.output is undefined: with it as one
  /// operation.
  virtual bool computes_site(const Target& target) const { return false; }

  /// What forward() would compute there, as one projection; nothing if it is none.
  virtual std::optional<Projection> projection(const SiteValues& values, const Target& target,
                                               const SiteTensors& tensors, const MethodConfig& config,
                                               bool training) const {
    return std::nullopt;
  }

  /// The target's new output given the frozen one. `training` turns dropout on.
  virtual at::Tensor forward(const SiteValues& values, const Target& target, const SiteTensors& tensors,
                             const MethodConfig& config, bool training) const = 0;

  /// The single weight (as stored) that computes what forward() computes with dropout off. The update is
  /// summed in float64 and rounded once to `weight`'s dtype (to 16 bits through float32, as LibTorch
  /// converts).
  virtual at::Tensor effective_weight(const at::Tensor& weight, const Target& target,
                                      const SiteTensors& tensors, const MethodConfig& config) const = 0;

  /// Names, shapes and dtype that tensors of this target must have: for checking files.
  virtual std::map<std::string, std::vector<std::int64_t>> shapes(const Target& target,
                                                                  const MethodConfig& config) const = 0;
};

/// Usage error with the nearest name if there is none.
const Method& find_method(const std::string& name);
std::vector<std::string> method_names();

}  // namespace lora
