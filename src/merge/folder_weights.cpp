#include "merge/folder_weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::uint64_t kMostConfigBytes = 16 << 20;
constexpr std::string_view kWeight = ".weight";

const std::set<std::string, std::less<>> kTokenEmbeddings = {"embed_tokens", "wte", "embed_in",
                                                             "word_embeddings"};
const std::set<std::string, std::less<>> kOtherEmbeddings = {"wpe", "embed_positions", "position_embeddings",
                                                             "token_type_embeddings"};
const std::set<std::string, std::less<>> kHeads = {"lm_head", "embed_out", "score", "classifier"};
const std::set<std::string, std::less<>> kConv1d = {"c_attn", "c_proj", "c_fc", "q_attn"};
const std::map<std::string, SiteRole, std::less<>> kRoles = {{"q_proj", SiteRole::query},
                                                             {"query", SiteRole::query},
                                                             {"q_lin", SiteRole::query},
                                                             {"k_proj", SiteRole::key},
                                                             {"key", SiteRole::key},
                                                             {"k_lin", SiteRole::key},
                                                             {"v_proj", SiteRole::value},
                                                             {"value", SiteRole::value},
                                                             {"v_lin", SiteRole::value},
                                                             {"c_attn", SiteRole::fused_attention},
                                                             {"qkv_proj", SiteRole::fused_attention},
                                                             {"query_key_value", SiteRole::fused_attention},
                                                             {"o_proj", SiteRole::attention_output},
                                                             {"out_lin", SiteRole::attention_output}};

bool is_embedding(std::string_view name) {
  return kTokenEmbeddings.count(name) || kOtherEmbeddings.count(name);
}

SiteRole role_of(const std::string& module, std::string_view name) {
  if (is_embedding(name)) return SiteRole::embedding;
  if (kHeads.count(name)) return SiteRole::head;
  if (const auto known = kRoles.find(name); known != kRoles.end()) return known->second;
  const bool in_mlp = module.find("mlp.") != std::string::npos || module.find("ffn.") != std::string::npos;
  return in_mlp ? SiteRole::mlp : SiteRole::other;
}

/// The first number among the path's segments, -1 if there is none.
int layer_of(const std::string& module) {
  for (const std::string& segment : split(module, '.')) {
    const bool number =
        !segment.empty() && segment.size() < 6 &&
        std::all_of(segment.begin(), segment.end(), [](unsigned char c) { return std::isdigit(c); });
    if (number) return std::stoi(segment);
  }
  return -1;
}

std::string text_at(const Json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

FolderWeights::FolderWeights(const std::filesystem::path& folder) : folder_(folder) {
  const std::filesystem::path config = folder / "config.json";
  config_ = parse_json(read_file(config, kMostConfigBytes), {config.string(), ExitCode::file});
  if (!config_.is_object()) throw Error(ExitCode::file, cat(config.string(), ": no JSON object"));
  for (const std::string& name : folder_.names()) {
    const SafetensorsEntry& entry = folder_.entry(name);
    facts_[name] = {entry.shape, at::isFloatingType(entry.dtype), false};
  }
  find_sites();
}

void FolderWeights::find_sites() {
  const bool has_conv1d = text_at(config_, "model_type") == "gpt2";
  for (const auto& [weight, facts] : facts_) {
    if (facts.shape.size() != 2 || !facts.trainable || !weight.ends_with(kWeight)) continue;
    Site site;
    site.path = weight.substr(0, weight.size() - kWeight.size());
    site.weight = weight;
    site.layer = layer_of(site.path);
    const std::string name = site.path.substr(site.path.rfind('.') + 1);
    site.role = role_of(site.path, name);
    if (is_embedding(name)) site.kind = SiteKind::embedding;
    if (has_conv1d && kConv1d.count(name)) site.kind = SiteKind::conv1d;
    site.in = facts.shape[site.kind == SiteKind::linear ? 1 : 0];
    site.out = facts.shape[site.kind == SiteKind::linear ? 0 : 1];
    sites_.push_back(std::move(site));
  }
  const bool has_head =
      std::any_of(sites_.begin(), sites_.end(), [](const Site& site) { return site.role == SiteRole::head; });
  for (Site& site : sites_) {
    site.tied = !has_head && kTokenEmbeddings.count(site.path.substr(site.path.rfind('.') + 1));
    facts_.at(site.weight).tied = site.tied;
  }
}

std::string FolderWeights::task_type() const {
  const auto names = config_.find("architectures");
  const bool named =
      names != config_.end() && names->is_array() && !names->empty() && names->front().is_string();
  const std::string name = named ? names->front().get<std::string>() : "";
  if (name.find("ForSequenceClassification") != std::string::npos) return "SEQ_CLS";
  return name.find("CausalLM") != std::string::npos || name.find("LMHead") != std::string::npos ? "CAUSAL_LM"
                                                                                                : "";
}

AdapterProvenance FolderWeights::provenance() const {
  const std::string name = text_at(config_, "_name_or_path");
  return {name.empty() ? folder_.path().string() : name, "", "", {}};
}

}  // namespace lora
