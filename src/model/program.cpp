#include "lora/model/program.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "model/archive.h"
#include "model/device.h"
#include "model/fingerprint.h"
#include "model/program_impl.h"
#include "model/roles.h"
#include "model/run_graph.h"
#include "model/slices.h"

namespace lora {
namespace {

constexpr std::int64_t kProbeRows = 2, kProbeTime = 7;
constexpr const char *kFingerprint = "fingerprint", *kShape = "shape of logits";  // facts

void refuse_non_finite(const std::vector<Weight>& weights, const std::filesystem::path& path) {
  std::vector<std::string> bad;
  for (const Weight& weight : weights) {
    if (!weight.is_parameter || !at::isFloatingType(weight.value.scalar_type())) continue;
    const bool suspicious = !std::isfinite(weight.value.sum(at::kDouble).item<double>());
    if (suspicious && !at::isfinite(weight.value).all().item<bool>()) bad.push_back(weight.path);
  }
  if (bad.empty()) return;
  throw Error(ExitCode::file,
              cat("\"", path.string(), "\": ", bad.size(), " weights hold NaN or Inf: ", join(bad, ", ")),
              "the file is damaged or was saved from a diverged training");
}

/// What LibTorch does not like about a model is an error of its file.
template <class Function>
Program using_file(const std::filesystem::path& path, Function function) {
  try {
    return function();
  } catch (const c10::Error& error) {
    throw Error(
        ExitCode::file,
        cat("\"", path.string(), "\" cannot be used: ", short_torch_message(error.what_without_backtrace())),
        "export the model with scripts/export_model.py");
  }
}

}  // namespace

ModelInputs Program::Impl::probe_inputs() const {
  const auto options = at::dtype(at::kLong).device(device);
  ModelInputs inputs;
  inputs.input_ids = at::arange(1, kProbeRows * kProbeTime + 1, options).reshape({kProbeRows, kProbeTime});
  inputs.input_ids = inputs.input_ids.remainder(std::max<std::int64_t>(info.vocab_size, 2));
  inputs.attention_mask = at::ones({kProbeRows, kProbeTime}, options);
  inputs.attention_mask.narrow(0, kProbeRows - 1, 1).narrow(1, kProbeTime - 2, 2).zero_();
  return inputs;
}

std::vector<c10::IValue> Program::Impl::stack(const ModelInputs& inputs) const {
  const auto filled = [&](const at::Tensor& given, std::int64_t value) {
    return given.defined() || !inputs.input_ids.defined() ? given : at::full_like(inputs.input_ids, value);
  };
  std::vector<c10::IValue> values;
  values.reserve(lowered.inputs.size() + lowered.slots.size() + 2);
  for (const std::string& name : lowered.inputs) {
    if (name == "input_ids")
      values.emplace_back(inputs.input_ids);
    else if (name == "attention_mask")
      values.emplace_back(filled(inputs.attention_mask, 1));
    else
      values.emplace_back(filled(inputs.token_type_ids, 0));
  }
  for (const WeightSlot& slot : lowered.slots) values.emplace_back(lowered.weights[slot.weight].value);
  return values;
}

Program::Impl::Impl(std::filesystem::path file, const Cache& cache, bool decodes)
    : path(std::move(file)),
      facts(cache, path),
      is_known(!facts.find(kFingerprint).is_null()),
      archive(load_archive(path, is_known, decodes ? "" : "decode")),
      info(parse_model_info(archive.extra, path)),
      lowered(lower(archive.module, "forward")) {
  if (!info.has_metadata) info.key_prefix = guess_wrapper_prefix(archive.module);
  info.inputs = lowered.inputs;
  index_weights();
}

void Program::Impl::index_weights() {
  for (std::size_t i = 0; i < lowered.weights.size(); ++i) {
    weight_of_path[lowered.weights[i].path] = i;
    for (const std::string& alias : lowered.weights[i].aliases) weight_of_path[alias] = i;
  }
}

const at::Tensor& Program::Impl::probe_logits() const {
  const at::NoGradGuard no_grad;
  if (!plain_probe.defined())
    plain_probe = logits_of(run_graph(torch::jit::Code(lowered.graph, "probe"), stack(probe_inputs())));
  return plain_probe;
}

void Program::Impl::complete_info() {
  const std::vector<std::int64_t> shape = fact(kShape, [&] { return Json(probe_logits().sizes().vec()); });
  if (!info.has_metadata && shape.size() == 2)
    info.task = shape[1] == 1 ? Task::regression : Task::classification;
  const bool fits = shape.size() == (has_text_head(info.task) ? 2 : 3) && shape[0] == kProbeRows &&
                    (info.task != Task::regression || shape[1] == 1);
  if (!fits) {
    throw Error(
        ExitCode::file,
        cat("\"", path.string(), "\": forward returns shape [", join(shape, ", "), "] for ids [", kProbeRows,
            ", ", kProbeTime,
            "]; logits are [batch, time, vocabulary], [batch, labels] or, of a regressor, [batch, 1]"),
        "export the model with scripts/export_model.py");
  }
  if (info.task == Task::classification && info.labels.empty()) {
    for (std::int64_t i = 0; i < shape[1]; ++i) info.labels.push_back(std::to_string(i));
  }
}

void Program::Impl::check_weights() {
  if (is_known) {
    analyse();
    fingerprint = std::async(std::launch::deferred, [known = facts.find(kFingerprint).get<std::string>()] {
                    return known;
                  }).share();
    return;
  }
  const std::shared_future<void> finite =
      std::async(std::launch::async, refuse_non_finite, lowered.weights, path).share();
  fingerprint = std::async(std::launch::async, [weights = lowered.weights, facts = facts, finite] {
                  std::string hash = fingerprint_weights(weights);
                  finite.get();  // a fact of sound files alone
                  facts.keep(kFingerprint, hash);
                  return hash;
                }).share();
  analyse();
  finite.get();
}

void Program::Impl::analyse() {
  std::vector<LocatedSite> located = locate_sites(lowered, info.key_prefix);
  unsited = lora::weights_without_site(lowered, located);
  const auto fused = assign_roles(lowered, located);
  const auto first_embedding = std::find_if(located.begin(), located.end(), [](const LocatedSite& each) {
    return each.site.kind == SiteKind::embedding;
  });
  if (first_embedding != located.end()) {
    if (!info.vocab_size) info.vocab_size = first_embedding->site.in;
    if (!info.hidden_size) info.hidden_size = first_embedding->site.out;
  }
  const at::NoGradGuard no_grad;
  if (!fused.empty()) find_slices(lowered, record_run(*lowered.graph, stack(probe_inputs())), fused, located);
  for (LocatedSite& each : located) {
    if (each.site.role == SiteRole::head && !each.site.own_slot) each.site.path = "lm_head";
    sites.push_back(std::move(each.site));
  }
}

Program::Program(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Program::Program(Program&&) noexcept = default;
Program::~Program() = default;

Program Program::load(const std::filesystem::path& path, const Cache& cache, bool decodes) {
  return using_file(path, [&] {
    auto impl = std::make_unique<Impl>(path, cache, decodes);
    impl->check_weights();
    impl->complete_info();
    return Program(std::move(impl));
  });
}

Program Program::load_to_run(const std::filesystem::path& path) {
  return using_file(path, [&] {
    auto impl = std::make_unique<Impl>(path, Cache(), /*decodes=*/true);
    impl->fingerprint = std::async(std::launch::deferred, fingerprint_weights, impl->lowered.weights).share();
    impl->complete_info();
    return Program(std::move(impl));
  });
}

const std::filesystem::path& Program::path() const { return impl_->path; }
const ModelInfo& Program::info() const { return impl_->info; }
const std::vector<Weight>& Program::weights() const { return impl_->lowered.weights; }
const std::vector<Site>& Program::sites() const { return impl_->sites; }
const std::vector<std::string>& Program::weights_without_site() const { return impl_->unsited; }
at::Device Program::device() const { return impl_->device; }

const Weight& Program::weight(const std::string& path) const {
  const auto found = impl_->weight_of_path.find(path);
  if (found == impl_->weight_of_path.end()) throw Error(ExitCode::internal, cat("no weight \"", path, "\""));
  return impl_->lowered.weights[found->second];
}

void Program::set_weight(const std::string& path, at::Tensor value) {
  const Weight& weight = this->weight(path);
  if (weight.value.sizes() != value.sizes()) {
    throw Error(ExitCode::internal, cat("weight \"", path, "\" has shape [", join(weight.value.sizes(), ", "),
                                        "], not [", join(value.sizes(), ", "), "]"));
  }
  impl_->lowered.weights[impl_->weight_of_path.at(path)].value = std::move(value);
  impl_->is_as_loaded = false;
  impl_->plain_probe.reset();
}

void Program::to(at::Device device) {
  if (device == impl_->device) return;
  for (Weight& weight : impl_->lowered.weights) weight.value = weight.value.to(device);
  move_constants(*impl_->lowered.graph, device);
  impl_->device = device;
  impl_->is_as_loaded = false;
  impl_->plain_probe.reset();
}

void Program::use_precision(at::ScalarType type) {
  impl_->precision = type;
  impl_->narrow = type == at::kFloat ? nullptr : std::make_shared<NarrowWeights>(type);
}

void Program::checkpoint_activations(bool on) { impl_->checkpoints_activations = on; }

void Program::split_at_boundary(bool on) { impl_->splits_at_boundary = on; }

at::ScalarType Program::precision() const { return impl_->precision; }

const std::string& Program::fingerprint() const { return impl_->fingerprint.get(); }
const std::string& Program::code_hash() const { return impl_->archive.code_hash; }

}  // namespace lora
