#include "checkpoint/adapter_metadata.h"

#include "checkpoint/content_hash.h"
#include "checkpoint/peft_config.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char* kOwnPrefix = "lora.";
constexpr const char *kFormat = "lora.format", *kBase = "lora.base_fingerprint",
                     *kTokenizer = "lora.tokenizer_hash", *kConfig = "lora.config", *kBlocks = "lora.blocks",
                     *kLabels = "lora.labels";
constexpr const char* kFormatVersion = "1";

bool is_reserved(const std::string& key) {
  return key == kFormat || key == kBase || key == kTokenizer || key == kConfig || key == kBlocks ||
         key == kLabels || key == kContentHashKey;
}

/// Empty if absent.
std::string value_of(const Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string() : found->second;
}

std::vector<std::string> parse_labels(const std::string& text, const JsonOrigin& origin) {
  std::vector<std::string> labels;
  if (text.empty()) return labels;
  const Json parts = parse_json(text, {cat(origin.place, " ", kLabels), origin.code});
  if (!parts.is_array()) throw Error(origin.code, cat(origin.place, ": ", kLabels, " is no list"));
  for (const Json& label : parts) labels.push_back(json_string(label, kLabels, origin));
  return labels;
}

}  // namespace

Metadata adapter_metadata(const AdapterProvenance& provenance, const Json& config, const Blocks& blocks) {
  Metadata metadata{{"format", "pt"},
                    {kFormat, kFormatVersion},
                    {kBase, provenance.base_fingerprint},
                    {kConfig, decisive_part(config).dump()}};
  if (!provenance.tokenizer_hash.empty()) metadata[kTokenizer] = provenance.tokenizer_hash;
  Json parts = Json::object();
  for (const auto& [module, stacked] : blocks) {
    for (const RankBlock& block : stacked) parts[module].push_back({block.slice, block.rank});
  }
  if (!parts.empty()) metadata[kBlocks] = parts.dump();
  if (!provenance.labels.empty()) metadata[kLabels] = Json(provenance.labels).dump();
  for (const auto& [name, value] : provenance.facts) {
    if (is_reserved(kOwnPrefix + name) || !metadata.emplace(kOwnPrefix + name, value).second) {
      throw Error(ExitCode::internal, cat("fact \"", name, "\" has the name of another piece of metadata"));
    }
  }
  return metadata;
}

bool has_own_metadata(const Metadata& metadata) {
  const auto first = metadata.lower_bound(kOwnPrefix);
  return first != metadata.end() && first->first.starts_with(kOwnPrefix);
}

AdapterProvenance parse_provenance(const Metadata& metadata, const JsonOrigin& origin) {
  const std::string format = value_of(metadata, kFormat);
  if (has_own_metadata(metadata) && format != kFormatVersion) {
    throw Error(
        origin.code,
        cat(origin.place, ": ", kFormat, " is \"", printable(format), "\", known is ", kFormatVersion),
        "use the version of these tools that wrote it");
  }
  AdapterProvenance provenance;
  provenance.base_fingerprint = value_of(metadata, kBase);
  provenance.tokenizer_hash = value_of(metadata, kTokenizer);
  provenance.labels = parse_labels(value_of(metadata, kLabels), origin);
  for (const auto& [key, value] : metadata) {
    if (!key.starts_with(kOwnPrefix) || is_reserved(key)) continue;
    provenance.facts[key.substr(std::string_view(kOwnPrefix).size())] = value;
  }
  return provenance;
}

Blocks parse_blocks(const Metadata& metadata, const JsonOrigin& origin) {
  Blocks blocks;
  const std::string text = value_of(metadata, kBlocks);
  if (text.empty()) return blocks;
  const Json parts = parse_json(text, {cat(origin.place, " ", kBlocks), origin.code});
  const Error malformed(origin.code, cat(origin.place, ": ", kBlocks, " is malformed"));
  if (!parts.is_object()) throw malformed;
  for (const auto& [module, stacked] : parts.items()) {
    if (!stacked.is_array()) throw malformed;
    for (const Json& block : stacked) {
      if (!block.is_array() || block.size() != 2) throw malformed;
      blocks[module].push_back({json_string(block[0], kBlocks, origin), json_int(block[1], kBlocks, origin)});
      if (blocks[module].back().rank < 1) throw malformed;
    }
  }
  return blocks;
}

void check_config(const Metadata& metadata, const Json& config, const JsonOrigin& origin) {
  const std::string text = value_of(metadata, kConfig);
  if (text.empty()) return;
  const Json written = parse_json(text, {cat(origin.place, " ", kConfig), origin.code});
  const Json found = decisive_part(config);
  std::vector<std::string> differences;
  for (const auto& [key, value] : found.items()) {
    if (!written.contains(key)) continue;  // a key that an older version did not record
    const Json& expected = written[key];
    if (value == expected) continue;
    differences.push_back(
        cat("  ", key, " is ", printable(value.dump()), ", written was ", printable(expected.dump())));
  }
  if (differences.empty()) return;
  throw Error(origin.code,
              cat(kConfigFile, " was changed after the tensors were written\n", join(differences, "\n")),
              "restore it: these values decide what the tensors compute");
}

}  // namespace lora
