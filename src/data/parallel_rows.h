#pragma once

#include <cstddef>
#include <functional>

namespace lora {

/// Calls work(i) for every i below `count` on up to `threads` threads, in blocks. If calls throw, the
/// exception of the smallest i is rethrown, whatever the number of threads.
void for_each_row(std::size_t count, int threads, const std::function<void(std::size_t)>& work);

}  // namespace lora
