#include "lora/base/files.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/temporary_folder.h"
#include "tiny_tokenizers.h"

using namespace lora;
using lora::test::require_error;
using lora::test::word_tokenizer_json;

TEST_CASE("tokenizer files: a folder or one file, with the configuration beside it") {
  const lora::test::TemporaryFolder folder;
  const auto path = folder.path();
  write_file_atomically(path / "tokenizer.json", word_tokenizer_json());
  CHECK(read_tokenizer_files(path).size() == 1);
  write_file_atomically(path / "tokenizer_config.json", "{}");
  write_file_atomically(path / "other.json", word_tokenizer_json());
  CHECK(read_tokenizer_files(path).count("tokenizer_config.json") == 1);
  CHECK(read_tokenizer_files(path / "other.json").count("tokenizer.json") == 1);
  CHECK(read_tokenizer_files(path / "other.json").size() == 2);
  CHECK(make_tokenizer(read_tokenizer_files(path))->vocab_size() == 15);
}

TEST_CASE("tokenizer files: what is missing is named") {
  const lora::test::TemporaryFolder folder;
  const auto path = folder.path();
  require_error([&] { read_tokenizer_files(path); }, ExitCode::file, {"tokenizer.model", "tokenizer.json"});
  require_error([&] { read_tokenizer_files(path / "none"); }, ExitCode::io, {"none"});
  write_file_atomically(path / "notes.txt", "x");
  require_error([&] { read_tokenizer_files(path / "notes.txt"); }, ExitCode::file, {"notes.txt"});
  require_error([] { make_tokenizer({}); }, ExitCode::file, {"no tokenizer"});
}

TEST_CASE("tokenizer files: the hash depends on names and contents and on nothing else") {
  const TokenizerFiles files{{"tokenizer.json", "ab"}, {"tokenizer_config.json", "c"}};
  CHECK(tokenizer_hash(files) == tokenizer_hash(TokenizerFiles(files)));
  CHECK(tokenizer_hash(files).size() == 64);
  CHECK(tokenizer_hash(files) != tokenizer_hash({{"tokenizer.json", "a"}, {"tokenizer_config.json", "bc"}}));
  CHECK(tokenizer_hash(files) != tokenizer_hash({{"tokenizer.model", "ab"}, {"tokenizer_config.json", "c"}}));
}
