# Libraries of the system (Debian and Ubuntu packages; scripts/setup.sh installs them) and SentencePiece, which
# setup.sh builds into .deps because Debian's is too old. A missing one is an error that names its package.

function(lora_require found name package)
  if(NOT ${found})
    message(FATAL_ERROR "${name} not found: run scripts/setup.sh, or install the package ${package} and configure again.")
  endif()
endfunction()

find_package(CLI11 QUIET CONFIG)
lora_require(CLI11_FOUND CLI11 libcli11-dev)
find_package(nlohmann_json QUIET CONFIG)
lora_require(nlohmann_json_FOUND nlohmann/json nlohmann-json3-dev)
find_package(spdlog QUIET CONFIG)
lora_require(spdlog_FOUND spdlog libspdlog-dev)
find_package(OpenSSL QUIET COMPONENTS Crypto)
lora_require(OPENSSL_FOUND OpenSSL libssl-dev)
find_package(ZLIB QUIET)
lora_require(ZLIB_FOUND zlib zlib1g-dev)
find_package(Threads REQUIRED)

find_path(PCRE2_INCLUDE_DIR pcre2.h)
find_library(PCRE2_LIBRARY pcre2-8)
lora_require(PCRE2_LIBRARY PCRE2 libpcre2-dev)
find_path(UTF8PROC_INCLUDE_DIR utf8proc.h)
find_library(UTF8PROC_LIBRARY utf8proc)
lora_require(UTF8PROC_LIBRARY utf8proc libutf8proc-dev)

set(LORA_SENTENCEPIECE ${PROJECT_SOURCE_DIR}/.deps/sentencepiece CACHE PATH "prefix of a static SentencePiece >= 0.2.1")
find_path(SENTENCEPIECE_INCLUDE_DIR sentencepiece_processor.h PATHS ${LORA_SENTENCEPIECE}/include NO_DEFAULT_PATH)
find_library(SENTENCEPIECE_LIBRARY libsentencepiece.a PATHS ${LORA_SENTENCEPIECE}/lib NO_DEFAULT_PATH)
lora_require(SENTENCEPIECE_LIBRARY "SentencePiece 0.2.1 (static)" "from scripts/setup.sh")

# lora_library(NAME INCLUDE_DIR LIBRARY...): a plain imported target.
function(lora_library name include_dir)
  add_library(${name} INTERFACE)
  target_include_directories(${name} SYSTEM INTERFACE ${include_dir})
  target_link_libraries(${name} INTERFACE ${ARGN})
endfunction()
lora_library(lora_pcre2 ${PCRE2_INCLUDE_DIR} ${PCRE2_LIBRARY})
lora_library(lora_utf8proc ${UTF8PROC_INCLUDE_DIR} ${UTF8PROC_LIBRARY})
# Its protobuf-lite must not meet LibTorch's: no symbol of the archive is exported.
lora_library(lora_sentencepiece ${SENTENCEPIECE_INCLUDE_DIR} ${SENTENCEPIECE_LIBRARY} Threads::Threads)
target_link_options(lora_sentencepiece INTERFACE "-Wl,--exclude-libs,libsentencepiece.a")

if(LORA_TESTS)
  find_package(Catch2 QUIET CONFIG)
  lora_require(Catch2_FOUND Catch2 catch2)
  add_library(lora_catch INTERFACE)
  target_link_libraries(lora_catch INTERFACE Catch2::Catch2)
  if(Catch2_VERSION VERSION_GREATER_EQUAL 3)
    target_compile_definitions(lora_catch INTERFACE LORA_CATCH3)
  endif()
endif()
