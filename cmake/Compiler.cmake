# Compiler flags and ccache.

# The hot loops are LibTorch's; -O3 would only lengthen our builds.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

# Programs and libraries share one precompiled header, so they must agree on position independence.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE ${CMAKE_CXX_COMPILE_OPTIONS_PIC})

add_library(lora_warnings INTERFACE)
target_compile_options(lora_warnings INTERFACE -Wall -Wextra -Wshadow -Wno-unused-parameter)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms about std::string's operator+ (GCC bugs 105329 and 105651).
  target_compile_options(lora_warnings INTERFACE -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # ccache takes precompiled headers only with this sloppiness.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()

if(LORA_SANITIZE)
  # With sanitizers GCC gives false alarms of this kind, as its manual says.
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer -Wno-maybe-uninitialized)
  add_link_options(-fsanitize=address,undefined)
endif()
