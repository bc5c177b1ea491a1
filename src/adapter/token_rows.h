#pragma once

#include "lora/adapter/adapter.h"

namespace lora {

/// A site's output with the trained rows of its weight in place of the base's.
at::Tensor token_output(const TokenRows& rows, const Site& site, const SiteValues& values);

/// `weight` [vocabulary, dim] with the trained rows.
at::Tensor with_token_rows(const at::Tensor& weight, const TokenRows& rows);

/// All uses of the weight of the embedding at `module` (the input embedding if empty), and its rows `ids` as
/// they are. mismatch error for a module that is no embedding or head, for ids that are no rows of it, and
/// for a weight that `adapter` trains otherwise. usage error for repeated ids.
TokenRows fresh_token_rows(const Program& program, const Adapter& adapter, const std::string& module,
                           std::vector<std::int64_t> ids);

}  // namespace lora
