#pragma once

namespace lora {

/// How this process gets memory, before it gets any: freed blocks are kept for the next step instead of being
/// given back and taken anew, page by page, and large tensors ask for huge pages. Values that the user set in
/// the environment stand.
void settle_allocation();

}  // namespace lora
