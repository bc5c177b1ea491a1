#pragma once

#include <cstdint>
#include <vector>

#include "lora/data/encode.h"
#include "lora/eval/evaluate.h"

namespace lora {

/// UTF-8 bytes of the text that each row's labelled tokens stand for, behind what precedes them: of a
/// completion its bytes, its leading space included; of a chat those of the answers; of a text all but those
/// of a first token that nothing predicts. Special tokens (eos, ends of turns) have none, though a loss is
/// taken on them. The windows of one text sum up to the text, also where they cut a character.
std::vector<std::int64_t> labelled_bytes(const std::vector<EncodedRow>& rows, const Tokenizer& tokenizer);

/// Notes them in the outcomes of a quality measured on these rows.
void set_bytes(Quality& quality, const std::vector<std::int64_t>& bytes);

}  // namespace lora
