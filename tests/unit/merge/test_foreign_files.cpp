#include <ATen/ATen.h>

#include <cstring>

#include "lora/base/text.h"
#include "merge/gguf_file.h"
#include "merge/stored_zip.h"
#include "merge/torch_state.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;
using namespace lora::test;

namespace {

GgufFile small_gguf() {
  GgufFile file;
  file.metadata = {
      {"general.type", std::string("adapter")}, {"adapter.lora.alpha", 8.0}, {"n", std::int64_t{3}}};
  file.tensors["a"] = at::arange(6, at::kFloat).view({2, 3});
  file.tensors["b"] = at::ones({4}, at::kHalf);
  return file;
}

TensorMap small_state() {
  return {{"x.lora_A", at::arange(6, at::kFloat).view({2, 3})},
          {"x.lora_B", at::ones({4, 2}, at::kBFloat16)}};
}

/// Every bit flip and every truncation: an error of a file, or no error; nothing else. Returns the number of
/// refusals.
template <class Read>
int sweep(const std::string& good, Read read) {
  int refused = 0;
  const auto attempt = [&](const std::string& bytes) {
    try {
      read(bytes);
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::file);
      ++refused;
    }
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      attempt(bad);
    }
    attempt(good.substr(0, i));
  }
  return refused;
}

/// A torch archive with this pickle.
std::string archive_with(const std::string& pickle) {
  return write_stored_zip({{"archive/data.pkl", pickle}, {"archive/data/0", std::string(24, '\0')}});
}

void require_refused(const std::string& pickle, std::initializer_list<std::string> parts) {
  require_error([&] { read_torch_state(archive_with(pickle), "a.pt"); }, ExitCode::file, parts);
}

}  // namespace

TEST_CASE("gguf: values and tensors come back") {
  const GgufFile written = small_gguf(), read = parse_gguf(serialize_gguf(written), "a.gguf");
  CHECK((read.metadata == written.metadata));
  REQUIRE(read.tensors.size() == 2);
  for (const auto& [name, tensor] : written.tensors) {
    CHECK(read.tensors.at(name).scalar_type() == tensor.scalar_type());
    CHECK(at::equal(read.tensors.at(name), tensor));
  }
}

TEST_CASE("gguf: every flipped bit and every truncation is refused or read, never worse") {
  const std::string good = serialize_gguf(small_gguf());
  CHECK(sweep(good, [](const std::string& bytes) { parse_gguf(bytes, "a.gguf"); }) >
        static_cast<int>(good.size()));
}

TEST_CASE("gguf: counts, extents and strings beyond the file are refused before anything is allocated") {
  const std::string good = serialize_gguf(small_gguf());
  const auto with = [&](std::size_t place, std::uint64_t value) {
    std::string bad = good;
    std::memcpy(bad.data() + place, &value, sizeof value);
    return bad;
  };
  require_error([&] { parse_gguf(with(8, std::uint64_t{1} << 62), "a"); }, ExitCode::file, {"tensors"});
  require_error([&] { parse_gguf(with(16, std::uint64_t{1} << 62), "a"); }, ExitCode::file, {"values"});
  require_error([&] { parse_gguf(with(24, std::uint64_t{1} << 62), "a"); }, ExitCode::file,
                {"bytes are expected"});
  require_error([&] { parse_gguf("GGUX", "a"); }, ExitCode::file, {"does not begin with GGUF"});
}

TEST_CASE("torch state: tensors come back, nested dictionaries by their path") {
  const TensorMap read = read_torch_state(write_torch_state(small_state()), "a.pt");
  REQUIRE(read.size() == 2);
  for (const auto& [name, tensor] : small_state()) {
    CHECK(read.at(name).scalar_type() == tensor.scalar_type());
    CHECK(at::equal(read.at(name), tensor));
  }
}

TEST_CASE("torch state: every flipped bit of data and every truncation is refused; checksums see the rest") {
  const std::string good = write_torch_state(small_state());
  const int refused = sweep(good, [](const std::string& bytes) { read_torch_state(bytes, "a.pt"); });
  CHECK(refused > static_cast<int>(good.size()) * 4);
}

TEST_CASE("torch state: pickles that call, import or misuse anything are refused") {
  require_refused(
      "\x80\x02"
      "cos\nsystem\nX\x02\0\0\0idR.",
      {"os.system"});
  require_refused(
      "\x80\x02"
      "c__builtin__\neval\n.",
      {"eval"});
  require_refused("\x80\x02\x81.", {"operation 129"});  // NEWOBJ
  require_refused(
      "\x80\x02"
      "i",
      {"operation 105"});                              // INST
  require_refused("\x80\x02}b.", {"stack is empty"});  // BUILD without a state
  require_refused("\x80\x02h\x07.", {"recalls"});
  require_refused("\x80\x02", {"ends too early"});
  require_refused(std::string("\x80\x02X\xff\xff\xff\x7f", 7), {"ends too early"});
  require_refused("\x80\x02K\x01.", {"no dictionary"});
}

TEST_CASE(
    "torch state: a dictionary that holds itself ends at a depth, a tensor beyond its storage is refused") {
  require_error(
      [] { read_torch_state(archive_with(std::string("\x80\x02}q\0X\1\0\0\0ah\0s.", 15)), "a.pt"); },
      ExitCode::file, {"nested too deep"});
  const auto text = [](const std::string& value) {
    return cat('X', static_cast<char>(value.size()), std::string(3, '\0'), value);
  };
  const auto tensor = [&](char size) {
    return cat("\x80\x02}", text("a"), "ctorch._utils\n_rebuild_tensor_v2\n((", text("storage"),
               "ctorch\nFloatStorage\n", text("0"), text("cpu"), "K\x06tQK", '\0', "(K", size, "t(K\x01t\x89",
               "ccollections\nOrderedDict\n)RtRs.");
  };
  CHECK(read_torch_state(archive_with(tensor('\x06')), "a.pt").at("a").numel() == 6);
  require_refused(tensor('\x07'), {"leaves its storage"});
}

TEST_CASE("zip: compressed, overlapping and doubled entries are refused") {
  const std::string good = write_stored_zip({{"a", "first"}, {"b", "second"}});
  CHECK(read_stored_zip(good, "z").at("b") == "second");
  std::string compressed = good;
  const std::size_t central = good.find("PK\1\2");
  compressed[central + 10] = 8;
  require_error([&] { read_stored_zip(compressed, "z"); }, ExitCode::file, {"compressed"});
  std::string renamed = good;
  renamed[good.rfind('b')] = 'a';
  require_error([&] { read_stored_zip(renamed, "z"); }, ExitCode::file, {"there twice"});
  require_error([&] { read_stored_zip("PK\3\4", "z"); }, ExitCode::file, {"no directory"});
}
