#pragma once

namespace lora {

/// How this process gets memory, before it gets any: large tensors from an arena (base/arena.h), everything
/// else from a heap that keeps freed blocks for the next step instead of giving them back and taking them
/// anew, page by page. What the user set for the heap in the environment stands.
void settle_allocation();

}  // namespace lora
