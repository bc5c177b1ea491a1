#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lora {

/// How a weight is applied. Stored shapes: linear [out, in], conv1d [in, out], embedding [rows, dim].
enum class SiteKind { linear, conv1d, embedding };

/// What a site does, found by data flow (which operand of attention its output becomes), not by name. A
/// fused_attention site becomes several operands; Site::slices tells its parts.
enum class SiteRole { query, key, value, fused_attention, attention_output, mlp, embedding, head, other };

const char* to_string(SiteKind kind);
const char* to_string(SiteRole role);

/// A part of a fused projection's output: `rows` are the output features that become query, key or value.
struct SiteSlice {
  SiteRole role;
  std::vector<std::int64_t> rows;
};

/// A weight of the graph and its uses. Weights used several times (shared layers) are one site.
struct Site {
  std::string path;    ///< module path without wrapper prefix: "model.layers.0.self_attn.q_proj"
  std::string weight;  ///< the weight's path in the file: "model.model.layers.0.self_attn.q_proj.weight"
  std::string bias;    ///< the bias's path in the file, or empty
  SiteKind kind = SiteKind::linear;
  SiteRole role = SiteRole::other;
  std::int64_t in = 0, out = 0;  ///< features; for an embedding rows and dim
  int uses = 1;                  ///< graph nodes that apply the weight this way
  int layer = -1;                ///< first number in the path, -1 if none
  bool tied = false;             ///< the same weight also serves another site (embedding and head)
  bool own_slot = true;  ///< the file stores it in an attribute that no other site reads; false: a tied
                         ///< weight that cannot be changed for this site alone
  std::vector<SiteSlice> slices;  ///< query, key and value parts of a fused projection; else empty
};

/// One chosen site, or one slice of it.
struct Target {
  const Site* site = nullptr;
  const SiteSlice* slice = nullptr;

  /// "transformer.h.0.attn.c_attn" or "transformer.h.0.attn.c_attn:query".
  std::string name() const;
  std::int64_t in() const { return site->in; }
  std::int64_t out() const { return slice ? static_cast<std::int64_t>(slice->rows.size()) : site->out; }
};

/// The user's choice. Patterns: a word (attention, qv, mlp, all-linear), a full path, a suffix of whole path
/// segments (q_proj, attn.c_attn), a suffix with a slice (c_attn:query), or a regular expression between
/// slashes (/.*layers\.[0-3]\..*q_proj/). Exclusions have the same forms.
struct TargetChoice {
  std::vector<std::string> patterns;
  std::vector<std::string> exclude;
  std::string layers;  ///< "" all, "0-5,8", "first:4", "last:8"
};

/// Sites in graph order. Usage error listing nearest names if a pattern matches nothing, or if nothing is
/// left.
std::vector<Target> resolve_targets(const std::vector<Site>& sites, const TargetChoice& choice);

}  // namespace lora
