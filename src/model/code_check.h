#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "model/archive_code.h"

namespace lora {

/// Something in a model's code that calculation does not need.
struct CodeFinding {
  std::string member;    ///< path in the archive
  std::size_t line = 0;  ///< 0 in pickles, which have none
  std::string what;      ///< "torch.save: reads or writes files"
};

/// True if LibTorch has an operator aten::NAME.
using IsOperator = std::function<bool(const std::string& name)>;

/// What code and pickles name beyond known operators (known_operators.h) and the archive's own classes and
/// functions. None if LibTorch can be given the archive unasked.
///
/// Every way to an operator is looked at: torch.NAME, ops.NAMESPACE.NAME, VALUE.NAME and getattr(VALUE,
/// "NAME"), where NAME may be an attribute or method of the model as long as it is none of LibTorch's; names
/// that could be assigned and called later (`torch` alone) are findings, too. Classes outside of the archive
/// (`__torch__.torch.classes...`) are compiled code that whoever has it loaded can call. It does not matter
/// which method a name stands in: __setstate__ runs when a model is loaded, forward when it is prepared.
///
/// file error, which begins with `place`, for code that cannot be read.
std::vector<CodeFinding> check_code(const ArchiveCode& code, const IsOperator& is_operator,
                                    const std::string& place);

}  // namespace lora
