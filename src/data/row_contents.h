#pragma once

#include "data/row_fields.h"
#include "lora/data/example.h"

namespace lora {

// One reader for each row shape. The shape's required fields are there; a value of the wrong type, an empty
// text or answer, or a label that does not go with its ids is a data error.

Content read_messages(const RowFields& row);
Content read_prompt_completion(const RowFields& row);
Content read_multiple_choice(const RowFields& row);
Content read_instruction(const RowFields& row);
Content read_token_sequence(const RowFields& row);
Content read_labelled_tokens(const RowFields& row);
Content read_labelled_text(const RowFields& row);
Content read_plain_text(const RowFields& row);

}  // namespace lora
