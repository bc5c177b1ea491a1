#include <array>

#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"
#include "tokenizer/json_tokenizer.h"
#include "tokenizer/sentencepiece_tokenizer.h"

namespace lora {
namespace {

constexpr const char* kModel = "tokenizer.model";
constexpr const char* kJson = "tokenizer.json";
constexpr std::array<const char*, 3> kNames{kModel, kJson, "tokenizer_config.json"};

/// The largest tokenizer.json known has 33 MB.
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 28;

/// A single file may have any name; what it is, its ending says.
std::string canonical_name(const std::filesystem::path& path) {
  if (path.extension() == ".model") return kModel;
  if (path.extension() == ".json") return kJson;
  throw Error(ExitCode::file, cat(path.string(), ": neither a SentencePiece .model nor a tokenizer.json"));
}

}  // namespace

TokenizerFiles read_tokenizer_files(const std::filesystem::path& path) {
  TokenizerFiles files;
  const bool is_folder = std::filesystem::is_directory(path);
  require_exists(path, "tokenizer");
  if (!is_folder) files[canonical_name(path)] = read_file(path, kMostBytes);
  const std::filesystem::path folder = is_folder ? path : path.parent_path();
  for (const char* name : kNames) {
    const bool wanted = is_folder || name == kNames.back();
    if (wanted && std::filesystem::exists(folder / name)) files[name] = read_file(folder / name, kMostBytes);
  }
  if (files.count(kModel) + files.count(kJson) > 0) return files;
  throw Error(ExitCode::file, cat(path.string(), ": no tokenizer there: neither ", kModel, " nor ", kJson),
              "give the folder that the model came from, or a tokenizer file");
}

std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerFiles& files) {
  if (files.count(kModel) > 0) return SentencePieceTokenizer::make(files);
  if (files.count(kJson) > 0) return JsonTokenizer::make(files);
  throw Error(ExitCode::file, cat("no tokenizer: neither ", kModel, " nor ", kJson, " is given"),
              "export the model with its tokenizer, or give a tokenizer file");
}

std::string tokenizer_hash(const TokenizerFiles& files) {
  Sha256 hash;
  for (const auto& [name, content] : files)
    hash.update(cat(name, '\0', content.size(), '\0')).update(content);
  return hash.hex();
}

}  // namespace lora
