#include <ATen/ATen.h>

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"
#include "model/graph_builder.h"
#include "model/hook_op.h"
#include "model/program_impl.h"
#include "model/rewrites/rewrite.h"
#include "model/run_graph.h"
#include "model/tracer.h"

namespace lora {
namespace {

constexpr double kTolerance = 1e-4;  ///< of logits, relative to the largest

std::vector<std::string> known_names() {
  std::vector<std::string> names;
  for (const Rewrite& each : all_rewrites()) names.push_back(each.name);
  return names;
}

/// Tells what a recorded run did the plain way from the places that were rewritten.
void count_plain(torch::jit::Graph& graph, const RecordedValues& values,
                 const std::vector<std::string>& names, std::vector<RewriteCount>& counts) {
  for (const Rewrite& each : all_rewrites()) {
    if (!each.plain || std::find(names.begin(), names.end(), each.name) == names.end()) continue;
    const PlainPlaces plain = each.plain(graph, values);
    if (plain.left + plain.unfit == 0) continue;
    auto count =
        std::find_if(counts.begin(), counts.end(), [&](const auto& one) { return one.name == each.name; });
    if (count == counts.end()) count = counts.insert(count, {each.name});
    count->places -= plain.unfit;
    count->plain = plain.left + plain.unfit;
  }
}

/// The probe's logits with these rewrites, and where they were made.
at::Tensor rewritten_logits(const Program::Impl& program, const std::vector<std::string>& names,
                            std::vector<RewriteCount>& counts) {
  GraphBuilder builder(program.lowered, program.info.key_prefix);
  counts = builder.rewrite(names);
  std::vector<c10::IValue> stack = program.stack(program.probe_inputs());
  stack.push_back(c10::IValue::make_capsule(c10::make_intrusive<HookTable>()));
  const torch::jit::Code code = builder.compile();
  const RecordedValues values = record_run(builder.graph(), stack);
  if (values.empty()) return logits_of(run_graph(code, std::move(stack)));
  count_plain(builder.graph(), values, names, counts);
  return logits_of(values.at(builder.graph().outputs()[0]));
}

/// The rewrites among `names` that were made, or nothing if they change the logits.
std::optional<std::vector<RewriteCount>> tried(const Program::Impl& program,
                                               const std::vector<std::string>& names,
                                               const at::Tensor& expected) {
  try {
    std::vector<RewriteCount> counts;
    const at::Tensor found = rewritten_logits(program, names, counts);
    const double difference = ((found - expected).abs().max() / expected.abs().max()).item<double>();
    if (difference <= kTolerance) return counts;
    log_debug("model", "rewrites ", join(names, ", "), " change the logits by ", difference, ": not used");
  } catch (const std::exception& error) {
    log_debug("model", "rewrites ", join(names, ", "), " fail: ", error.what());
  }
  return std::nullopt;
}

std::vector<std::string> names_of(const std::vector<RewriteCount>& counts) {
  std::vector<std::string> names;
  for (const RewriteCount& each : counts)
    if (each.places > 0) names.push_back(each.name);
  return names;
}

}  // namespace

const std::vector<RewriteCount>& Program::Impl::usable_rewrites() const {
  if (rewrites) return *rewrites;
  rewrites.emplace();
  if (wanted_rewrites.empty()) return *rewrites;
  const Json found = fact(cat("rewrites among ", join(wanted_rewrites, ",")), [&] {
    Json each = Json::array();
    for (const auto& [name, places, plain] : try_rewrites()) each.push_back({name, places, plain});
    return each;
  });
  for (const Json& each : found)
    rewrites->push_back({each.at(0).get<std::string>(), each.at(1).get<int>(), each.at(2).get<int>()});
  return *rewrites;
}

std::vector<RewriteCount> Program::Impl::try_rewrites() const {
  const at::NoGradGuard no_grad;
  const at::Tensor& expected = probe_logits();
  std::vector<RewriteCount> usable;
  if (const auto all = tried(*this, wanted_rewrites, expected)) {
    usable = *all;
  } else {
    for (const std::string& name : wanted_rewrites) {
      const auto one = tried(*this, {name}, expected);
      if (one) usable.insert(usable.end(), one->begin(), one->end());
    }
  }
  const bool rows_wanted =
      std::find(wanted_rewrites.begin(), wanted_rewrites.end(), kRowsRewrite) != wanted_rewrites.end();
  if (rows_wanted && can_select_rows(names_of(usable))) usable.push_back({std::string(kRowsRewrite), 1});
  return usable;
}

std::vector<std::string> Program::Impl::usable_rewrite_names() const { return names_of(usable_rewrites()); }

void Program::use_rewrites(const std::vector<std::string>& names) {
  const std::vector<std::string> known = known_names();
  std::vector<std::string> wanted;
  for (const std::string& name : names) {
    if (name == "all")
      wanted.insert(wanted.end(), known.begin(), known.end());
    else if (name.starts_with("-") && std::find(known.begin(), known.end(), name.substr(1)) != known.end())
      std::erase(wanted, name.substr(1));
    else if (std::find(known.begin(), known.end(), name) != known.end())
      wanted.push_back(name);
    else if (name != "none")
      throw Error(ExitCode::usage, cat("--rewrites: no rewrite is called \"", printable(name), "\""),
                  cat("give all, none, or some of ", join(known, ", "), "; all,-NAME leaves one out"));
  }
  impl_->wanted_rewrites = std::move(wanted);
  impl_->rewrites.reset();
}

const std::vector<RewriteCount>& Program::rewrites() const { return impl_->usable_rewrites(); }

}  // namespace lora
