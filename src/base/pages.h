#pragma once

#include <cstddef>

namespace lora {

/// Gives back the memory of the pages within [begin, begin + bytes) of a mapped file that was not written to;
/// they are read again when they are touched.
void release_pages(const void* begin, std::size_t bytes);

}  // namespace lora
