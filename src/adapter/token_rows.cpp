#include "adapter/token_rows.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

at::Tensor id_tensor(const TokenRows& rows, at::Device device) {
  return at::tensor(rows.ids, at::kLong).to(device);
}

/// The embedding that reads the input ids, or the site at `module`.
const Site& find_site(const Program& program, const std::string& module) {
  const std::int64_t vocabulary = program.info().vocab_size;
  const Site* found = nullptr;
  for (const Site& site : program.sites()) {
    const bool embedding = site.kind == SiteKind::embedding;
    if (module.empty() ? embedding && (vocabulary <= 0 || site.in == vocabulary) : site.path == module) {
      if (!found || embedding) found = &site;
      if (embedding) break;
    }
  }
  if (found && found->kind != SiteKind::conv1d) return *found;
  throw Error(ExitCode::mismatch,
              module.empty() ? std::string("the model has no embedding whose rows could be trained")
                             : cat("\"", printable(module), "\" is no embedding or head of the model"),
              "lora-train --model M.pt --list-targets shows the model's sites");
}

void check_ids(const Site& site, std::int64_t count, const std::vector<std::int64_t>& ids) {
  if (ids.empty()) throw Error(ExitCode::usage, "no token rows to train", "give ids: --trainable-tokens 5,6");
  if (const auto twice = std::adjacent_find(ids.begin(), ids.end()); twice != ids.end())
    throw Error(ExitCode::usage, cat("token ", *twice, " is given twice"), "give each id once");
  std::vector<std::int64_t> outside;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(outside),
               [&](std::int64_t id) { return id < 0 || id >= count; });
  if (outside.empty()) return;
  throw Error(ExitCode::mismatch,
              cat("tokens ", join(outside, ", "), " are no rows of \"", site.path, "\", which has ", count),
              cat("give ids from 0 to ", count - 1));
}

}  // namespace

at::Tensor token_output(const TokenRows& rows, const Site& site, const SiteValues& values) {
  const at::Tensor& output = values.output;
  const at::Tensor ids = id_tensor(rows, output.device());
  if (site.kind == SiteKind::embedding) {
    const at::Tensor place = at::searchsorted(ids, values.input).clamp_max(ids.size(0) - 1);
    const at::Tensor trained = at::embedding(rows.values, place).to(output.scalar_type());
    return at::where((ids.index_select(0, place.flatten()).view_as(place) == values.input).unsqueeze(-1),
                     trained, output);
  }
  at::Tensor logits = at::linear(values.input.to(rows.values.scalar_type()), rows.values);
  if (values.bias.defined()) logits = logits + values.bias.index_select(0, ids);
  return output.index_copy(-1, ids, logits.to(output.scalar_type()));
}

at::Tensor with_token_rows(const at::Tensor& weight, const TokenRows& rows) {
  return weight.index_copy(0, id_tensor(rows, weight.device()), rows.values.to(weight.scalar_type()));
}

TokenRows fresh_token_rows(const Program& program, const Adapter& adapter, const std::string& module,
                           std::vector<std::int64_t> ids) {
  const at::NoGradGuard no_grad;
  const Site& site = find_site(program, module);
  const Weight& weight = program.weight(site.weight);
  std::sort(ids.begin(), ids.end());
  check_ids(site, weight.value.size(0), ids);
  TokenRows rows{site.path, weight.aliases, std::move(ids), {}, {}};
  rows.paths.insert(rows.paths.begin(), weight.path);
  for (const Site& use : program.sites()) {
    if (&program.weight(use.weight) != &weight) continue;
    rows.sites.push_back(&use);
    const auto at_use = [&](const AdaptedTarget& adapted) { return adapted.target.site == &use; };
    const bool adapted = std::any_of(adapter.targets.begin(), adapter.targets.end(), at_use);
    if (!adapted && use.kind != SiteKind::conv1d && !adapter.saved_weights.count(weight.path)) continue;
    throw Error(
        ExitCode::mismatch,
        cat("\"", use.path, "\" is ", adapted ? "a target of its own" : "trained whole or used transposed",
            ": its rows cannot be trained beside that"),
        cat("leave it out: --exclude ", use.path));
  }
  rows.values = weight.value.index_select(0, id_tensor(rows, weight.value.device())).to(at::kFloat);
  return rows;
}

void add_token_rows(const Program& program, Adapter& adapter, const std::string& module,
                    const std::vector<std::int64_t>& ids) {
  TokenRows fresh = fresh_token_rows(program, adapter, module, ids);
  for (const TokenRows& rows : adapter.token_rows) {
    if (rows.paths == fresh.paths)
      throw Error(ExitCode::mismatch, cat("rows of \"", fresh.module, "\" would be trained twice"));
  }
  adapter.token_rows.push_back(std::move(fresh));
}

}  // namespace lora
