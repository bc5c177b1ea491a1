#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lora/model/trust.h"
#include "model/code_check.h"

namespace lora {

/// Hashes of model files to be loaded whatever their code does, one line each: "SHA-256 [comment]". Empty
/// lines and lines that begin with # are passed over. usage error, with `place` and line, for others.
std::set<std::string> parse_trusted_models(std::string_view text, const std::string& place);

/// The user's list: $XDG_CONFIG_HOME/lora/trusted-models or ~/.config/lora/trusted-models; empty if neither
/// variable is set.
std::filesystem::path trusted_models_path();

/// Returns if the user trusts the model file with the given bytes, by the list or for this process, and says
/// so; untrusted error otherwise, with the findings (at least one) and what to do.
void require_trust(const std::filesystem::path& path, std::string_view bytes,
                   const std::vector<CodeFinding>& findings);

/// True after trust_every_model().
bool every_model_is_trusted();

/// What this process wrote from a program that it had loaded needs no more trust than that: a file is known
/// by its device and number.
void remember_own_file(const std::filesystem::path& path);
bool is_own_file(const std::filesystem::path& path);

}  // namespace lora
