# Finds LibTorch without CUDA toolkit and without find_package(Torch), and defines the target `libtorch`.
#
# Looked at in this order: LORA_LIBTORCH (a libtorch folder or a wheel's torch/ folder), CMAKE_PREFIX_PATH
# entries, and the project's virtual environment `.venv`. CPU wheel, CUDA wheel and libtorch zip all have
# include/ATen and lib/libtorch_cpu.so below one folder.

set(LORA_LIBTORCH "" CACHE PATH "folder with LibTorch's include/ and lib/ (a wheel's torch/ or the unpacked zip)")

file(GLOB _lora_venv_torch "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
set(_lora_torch_candidates ${LORA_LIBTORCH})
foreach(_prefix ${CMAKE_PREFIX_PATH})
  list(APPEND _lora_torch_candidates ${_prefix} ${_prefix}/torch ${_prefix}/../.. )
endforeach()
list(APPEND _lora_torch_candidates ${_lora_venv_torch})

set(LORA_TORCH_ROOT "")
foreach(_candidate ${_lora_torch_candidates})
  if(EXISTS "${_candidate}/include/ATen/ATen.h" AND EXISTS "${_candidate}/lib/libtorch_cpu.so")
    get_filename_component(LORA_TORCH_ROOT "${_candidate}" REALPATH)
    break()
  endif()
endforeach()
if(NOT LORA_TORCH_ROOT)
  message(FATAL_ERROR
    "LibTorch not found. Run scripts/setup.sh (installs the PyPI wheel into .venv), or pass "
    "-DLORA_LIBTORCH=DIR with DIR the unpacked libtorch zip or a wheel's torch/ folder.")
endif()
message(STATUS "LibTorch: ${LORA_TORCH_ROOT}")

add_library(libtorch INTERFACE IMPORTED)
target_include_directories(libtorch SYSTEM INTERFACE
  ${LORA_TORCH_ROOT}/include ${LORA_TORCH_ROOT}/include/torch/csrc/api/include)
set(_lora_torch_libs torch_cpu c10)
if(EXISTS "${LORA_TORCH_ROOT}/lib/libtorch_cuda.so")
  list(APPEND _lora_torch_libs torch_cuda c10_cuda)
endif()
# torch_cuda registers its kernels when loaded; --as-needed would drop it because nothing names its symbols.
set(_lora_torch_paths "")
foreach(_lib ${_lora_torch_libs})
  list(APPEND _lora_torch_paths "${LORA_TORCH_ROOT}/lib/lib${_lib}.so")
endforeach()
target_link_libraries(libtorch INTERFACE
  "-Wl,--push-state,--no-as-needed" ${_lora_torch_paths} "-Wl,--pop-state" "-Wl,--allow-shlib-undefined")
# at::parallel_for of ATen's headers is a plain loop where OpenMP is off. LibTorch's own runtime is linked, so that
# there is one pool of threads. Clang has another runtime and keeps the loop.
file(GLOB _lora_openmp "${LORA_TORCH_ROOT}/lib/libgomp*.so*")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND _lora_openmp)
  target_compile_options(libtorch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
  target_link_libraries(libtorch INTERFACE ${_lora_openmp})
endif()
set(CMAKE_BUILD_RPATH "${LORA_TORCH_ROOT}/lib")
set(CMAKE_INSTALL_RPATH "${LORA_TORCH_ROOT}/lib")
