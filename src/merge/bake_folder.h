#pragma once

#include "merge/adapter_sources.h"
#include "merge/bake_report.h"
#include "merge/undo.h"

namespace lora {

/// Merges into a copy of the Hugging Face folder that `program` was exported from: shards with the same
/// headers, a tensor at a time, beside their final names until the logits of what was written agree with the
/// live ones; then configuration, tokenizer and all else that is no weight. `history` becomes a file of the
/// folder.
///
/// mismatch error listing all tensors of the folder that differ from the program's, and weights that it
/// lacks.
void bake_folder(const BakeConfig& config, Program& program, const AdapterSources& adapters,
                 const std::string& history, Undo& undo, BakeReport& report);

}  // namespace lora
