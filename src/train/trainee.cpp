#include "train/trainee.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "train/boundary_store.h"
#include "train/compared_methods.h"
#include "train/target_configs.h"

namespace lora {
namespace {

AdamWOptions optimizer_options(const TrainConfig& config) {
  return {config.beta1, config.beta2, config.epsilon, config.weight_decay};
}

bool is_inside(const std::string& path, const std::string& module) {
  return path == module || path.ends_with("." + module) || path.starts_with(module + ".") ||
         path.find("." + module + ".") != std::string::npos;
}

/// A module that is trained whole needs no adapter beside it.
std::vector<Target> outside(std::vector<Target> targets, const std::vector<std::string>& modules) {
  std::erase_if(targets, [&](const Target& target) {
    return std::any_of(modules.begin(), modules.end(),
                       [&](const std::string& module) { return is_inside(target.site->path, module); });
  });
  return targets;
}

/// What LoRA+ gives the higher rate: the factor that starts at zero, and vectors as PEFT has it.
bool is_fast(const std::string& name, const at::Tensor& tensor) {
  return tensor.dim() == 1 || name.ends_with(".lora_B.weight") || name.ends_with(".lora_embedding_A");
}

std::vector<std::int64_t> token_ids(const std::vector<std::string>& texts) {
  std::vector<std::int64_t> ids;
  for (const std::string& text : texts) {
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size())
      throw Error(ExitCode::usage, cat("--trainable-tokens: \"", printable(text), "\" is no token id"),
                  "give whole numbers: --trainable-tokens 5,6");
    ids.push_back(id);
  }
  return ids;
}

/// usage error if targets were found in too few of the numbered layers.
void check_coverage(const TrainConfig& config, const std::vector<Site>& sites,
                    const std::vector<Target>& targets) {
  std::set<int> all, found;
  for (const Site& site : sites) all.insert(site.layer);
  for (const Target& target : targets) found.insert(target.site->layer);
  all.erase(-1);
  found.erase(-1);
  if (static_cast<double>(found.size()) >= config.min_coverage * static_cast<double>(all.size())) return;
  std::vector<int> missing;
  std::set_difference(all.begin(), all.end(), found.begin(), found.end(), std::back_inserter(missing));
  throw Error(ExitCode::usage,
              cat("--targets ", join(config.targets, ","), " are found in ", found.size(), " of ", all.size(),
                  " layers, not in ", join(missing, ", "), "; --min-coverage asks for a share of ",
                  config.min_coverage),
              "--list-targets shows what each layer has");
}

/// These have no meaning where every weight is trained, or where a folder says what is.
void refuse_extra_tensors(const TrainConfig& config, const std::string& reason) {
  if (config.bias == "none" && config.trainable_tokens.empty()) return;
  throw Error(ExitCode::usage, cat("--bias and --trainable-tokens do not go with ", reason),
              "leave them out");
}

}  // namespace

Trainee::Trainee(const TrainConfig& config, Program& program, const std::function<void(Adapter&)>& prepare)
    : program_(program),
      full_(config.method == "full"),
      loss_scale_(program.precision() == at::kHalf || config.base_dtype == "fp16") {
  if (full_) refuse_extra_tensors(config, "--method full, which trains every weight");
  refuse_foreign_options(config);
  full_ ? collect_weights() : create_adapter_for(config);
  if (prepare && !full_) prepare(adapter_);
  std::vector<TrainedTensor> tensors;
  for (auto& [name, tensor] : adapter_.tensors())
    tensors.push_back({tensor, is_fast(name, *tensor) ? config.lora_plus_ratio : 1});
  for (FullWeight& weight : weights_) tensors.push_back({&weight.value});
  optimizer_ = std::make_unique<AdamW>(tensors, optimizer_options(config));
  for (const auto& [path, value] : adapter_.saved_weights) program_.set_weight(path, value);
  for (const FullWeight& weight : weights_) program_.set_weight(weight.path, weight.value);
  executable_.emplace(program_.executable(make_hooks(adapter_, training_)));
}

Trainee::~Trainee() = default;

void Trainee::use_boundary_store(std::unique_ptr<BoundaryStore> store) { boundary_store_ = std::move(store); }

void Trainee::create_adapter_for(const TrainConfig& config) {
  if (!config.init_adapter.empty()) {
    refuse_extra_tensors(config, "--init-adapter, whose folder says what is trained");
    return start_from(config);
  }
  std::vector<std::string> saved = config.modules_to_save;
  if (saved.empty() && has_text_head(program_.info().task)) saved = program_.info().head_modules;
  if (config.method == "head") saved = top_modules(program_, config.layers);
  std::vector<Target> targets;
  if (config.method == "bottleneck")
    targets = branch_ends(program_, config.placement, config.layers);
  else if (takes_targets(config.method) && config.targets != std::vector<std::string>{"none"})
    targets = resolve_targets(program_.sites(), {config.targets, config.exclude, config.layers});
  if (takes_targets(config.method)) check_coverage(config, program_.sites(), targets);
  adapter_ = create_adapter(program_, configured_targets(outside(targets, saved), config), saved,
                            static_cast<std::uint64_t>(config.seed));
  const bool bitfit = config.method == "bitfit";
  add_biases(program_, adapter_, bitfit ? "all" : config.bias, bitfit ? "--method bitfit" : "");
  if (config.method == "layernorm") add_norms(program_, adapter_);
  if (!config.trainable_tokens.empty())
    add_token_rows(program_, adapter_, "", token_ids(config.trainable_tokens));
  if (adapter_.tensors().empty()) {
    throw Error(ExitCode::usage, "--targets none leaves nothing to train",
                "give --trainable-tokens, --bias all or --modules-to-save");
  }
}

void Trainee::start_from(const TrainConfig& config) {
  adapter_ = fit_adapter(read_adapter_folder(config.init_adapter), program_);
  for (AdaptedTarget& adapted : adapter_.targets) {
    adapted.config.dropout = config.dropout;
    adapted.config.freeze_a = config.freeze_a;
  }
}

void Trainee::collect_weights() {
  for (const Weight& weight : program_.weights()) {
    if (!weight.is_parameter || !weight.value.is_floating_point()) continue;
    weights_.push_back({weight.path, weight.value.scalar_type(), weight.value});
  }
  if (weights_.empty()) {
    throw Error(ExitCode::file, cat(program_.path().string(), ": no floating-point parameter to train"),
                "export the model without freezing it");
  }
}

void Trainee::start_outputs_at(double value) {
  const at::NoGradGuard no_grad;
  const auto is_head_bias = [&](const std::string& path, const at::Tensor& tensor) {
    const auto& heads = program_.info().head_modules;
    return tensor.numel() == 1 && path.ends_with(".bias") &&
           std::any_of(heads.begin(), heads.end(), [&](const auto& head) { return is_inside(path, head); });
  };
  for (auto& [path, tensor] : adapter_.saved_weights) {
    if (is_head_bias(path, tensor)) tensor.fill_(value);
  }
  for (FullWeight& weight : weights_) {
    if (is_head_bias(weight.path, weight.value)) weight.value.fill_(value);
  }
}

std::int64_t Trainee::parameter_count() const {
  if (!full_) return adapter_.parameter_count();
  std::int64_t count = 0;
  for (const FullWeight& weight : weights_) count += weight.value.numel();
  return count;
}

TensorMap Trainee::state() const {
  TensorMap state = optimizer_->state();
  for (std::size_t i = 0; i < adapter_.targets.size(); ++i)
    for (const auto& [leaf, start] : adapter_.targets[i].origin) state[cat("origin.", i, ".", leaf)] = start;
  if (loss_scale_.is_on()) state["loss_scale"] = loss_scale_.state();
  return state;
}

void Trainee::restore(const TensorMap& state) {
  const at::NoGradGuard no_grad;
  optimizer_->restore(state);
  for (std::size_t i = 0; i < adapter_.targets.size(); ++i) {
    for (auto& [leaf, start] : adapter_.targets[i].origin) {
      const auto found = state.find(cat("origin.", i, ".", leaf));
      if (found == state.end()) throw Error(ExitCode::mismatch, "the checkpoint has no initial factors");
      start.copy_(found->second);
    }
  }
  if (loss_scale_.is_on()) loss_scale_.restore(state.at("loss_scale"));
}

std::uint64_t Trainee::save(const std::filesystem::path& adapter_folder,
                            const std::filesystem::path& model_file, const AdapterProvenance& provenance,
                            const std::string& card) const {
  const at::NoGradGuard no_grad;
  if (full_) {
    write_model(model_file, provenance);
    return std::filesystem::file_size(model_file);
  }
  write_adapter_folder(adapter_folder, pack_adapter(program_, adapter_, provenance), card);
  return std::filesystem::file_size(adapter_folder / "adapter_model.safetensors");
}

void Trainee::write_model(const std::filesystem::path& file, const AdapterProvenance& provenance) const {
  std::map<std::string, at::Tensor> values;
  for (const FullWeight& weight : weights_) {
    const at::Tensor value = weight.value.detach().to(weight.dtype);
    values[weight.path] = value;
    for (const std::string& alias : program_.weight(weight.path).aliases) values[alias] = value;
  }
  Json facts = {{"kind", "full fine-tuning"},
                {"base", provenance.base_name},
                {"base_fingerprint", provenance.base_fingerprint},
                {"tokenizer_hash", provenance.tokenizer_hash}};
  for (const auto& [key, value] : provenance.facts) facts[key] = value;
  program_.save(file, values, facts.dump());
}

}  // namespace lora
