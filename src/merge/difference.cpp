#include "merge/difference.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/kernels/low_rank.h"
#include "merge/module_update.h"
#include "merge/subspace.h"

namespace lora {
namespace {

constexpr double kNoDirection = 1e-12;  ///< singular values below this share of the largest are rounding

/// <s1 B1 A1, s2 B2 A2>, the sum of products of all elements, from r1 x r2 matrices.
double inner_product(const ModuleUpdate& a, const ModuleUpdate& b) {
  const auto wide = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };
  const at::Tensor up = at::mm(wide(a.B).t(), wide(b.B)), down = at::mm(wide(a.A), wide(b.A).t());
  return a.scale() * b.scale() * (up * down).sum().item<double>();
}

double norm(const ModuleUpdate& update) { return std::sqrt(std::max(0.0, inner_product(update, update))); }

/// Singular directions that carry something.
Svd directions(const ModuleUpdate& update) {
  const Svd svd = svd_of_product(update.B.to(at::kDouble), update.A.to(at::kDouble));
  const double floor = svd.S.numel() ? svd.S[0].item<double>() * kNoDirection : 0;
  return svd.first(svd.S.gt(floor).sum().item<std::int64_t>());
}

ModuleDifference compare_modules(const ModuleUpdate& a, const ModuleUpdate& b) {
  ModuleDifference found;
  found.module = a.module;
  found.ranks[0] = a.config.rank;
  found.ranks[1] = b.config.rank;
  found.norms[0] = norm(a);
  found.norms[1] = norm(b);
  const double product = inner_product(a, b), norms = found.norms[0] * found.norms[1];
  found.cosine = norms > 0 ? product / norms : std::numeric_limits<double>::quiet_NaN();
  const double square = found.norms[0] * found.norms[0] + found.norms[1] * found.norms[1] - 2 * product;
  found.distance = std::sqrt(std::max(0.0, square));
  const Svd first = directions(a), second = directions(b);
  found.left = similarity_grid(first.U, second.U);
  found.right = similarity_grid(first.V, second.V);
  found.left_random = random_similarity(first.S.size(0), second.S.size(0), a.out());
  found.right_random = random_similarity(first.S.size(0), second.S.size(0), a.in());
  return found;
}

/// Matches two sorted maps; the keys of one of them go to `only`.
template <class Value, class Compare>
void match(const std::map<std::string, Value>& first, const std::map<std::string, Value>& second,
           std::vector<std::string> (&only)[2], Compare compare) {
  for (const auto& [name, value] : first) {
    const auto found = second.find(name);
    found == second.end() ? only[0].push_back(name) : compare(name, value, found->second);
  }
  for (const auto& [name, value] : second) {
    if (!first.count(name)) only[1].push_back(name);
  }
}

std::map<std::string, ModuleUpdate> by_module(const AdapterFolder& folder) {
  std::map<std::string, ModuleUpdate> modules;
  for (ModuleUpdate& update : module_updates(folder)) modules.emplace(update.module, std::move(update));
  return modules;
}

std::string shape_text(std::int64_t in, std::int64_t out) { return cat(in, " inputs and ", out, " outputs"); }

template <class Value>
void add_fact(std::vector<std::string>& facts, const std::string& name, const Value& a, const Value& b) {
  if (!(a == b)) facts.push_back(cat(name, " ", a, " and ", b));
}

std::vector<std::string> differing_facts(const AdapterFolder& a, const AdapterFolder& b) {
  std::vector<std::string> facts;
  const MethodConfig &first = a.config.defaults, &second = b.config.defaults;
  add_fact(facts, "method", first.method, second.method);
  add_fact(facts, "rank", first.rank, second.rank);
  add_fact(facts, "alpha", first.alpha, second.alpha);
  add_fact(facts, "rank-stabilised", first.rank_stabilised, second.rank_stabilised);
  add_fact(facts, "base", a.provenance.base_name, b.provenance.base_name);
  add_fact(facts, "base fingerprint", a.provenance.base_fingerprint.substr(0, 12),
           b.provenance.base_fingerprint.substr(0, 12));
  add_fact(facts, "tokenizer", a.provenance.tokenizer_hash.substr(0, 12),
           b.provenance.tokenizer_hash.substr(0, 12));
  add_fact(facts, "classes", join(a.provenance.labels, ", "), join(b.provenance.labels, ", "));
  return facts;
}

}  // namespace

AdapterDifference compare_adapters(const AdapterFolder& first, const AdapterFolder& second) {
  const at::NoGradGuard no_grad;
  AdapterDifference found;
  std::vector<std::string> mismatches;
  match(by_module(first), by_module(second), found.only,
        [&](const std::string& name, const ModuleUpdate& a, const ModuleUpdate& b) {
          if (a.in() == b.in() && a.out() == b.out()) return found.modules.push_back(compare_modules(a, b));
          mismatches.push_back(cat("  ", printable(name), "  ", shape_text(a.in(), a.out()), "; ",
                                   shape_text(b.in(), b.out())));
        });
  match(other_tensors(first), other_tensors(second), found.whole_only,
        [&](const std::string& name, const at::Tensor& a, const at::Tensor& b) {
          if (a.sizes() == b.sizes()) {
            const at::Tensor wide = a.to(at::kDouble);
            found.whole[name] = ((wide - b).norm() / wide.norm()).item<double>();
            return;
          }
          mismatches.push_back(
              cat("  ", printable(name), "  [", join(a.sizes(), ", "), "]; [", join(b.sizes(), ", "), "]"));
        });
  if (!mismatches.empty()) {
    throw Error(
        ExitCode::mismatch,
        cat("\"", first.path.string(), "\" and \"", second.path.string(),
            "\" belong to different models: ", mismatches.size(), " shapes differ\n", join(mismatches, "\n")),
        "compare adapters of one base");
  }
  found.facts = differing_facts(first, second);
  return found;
}

}  // namespace lora
