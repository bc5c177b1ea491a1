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

TEST_CASE("gguf: tensors that share bytes cannot become larger than the file") {
  GgufFile file;
  for (int i = 0; i < 40; ++i) file.tensors[std::to_string(100 + i)] = at::ones({256});
  std::string good = serialize_gguf(file);
  for (int i = 1; i < 40; ++i) {  // all offsets become 0: the first tensor's
    const auto at = good.find(std::to_string(100 + i)) + 3 + 4 + 8 + 4;
    std::memset(good.data() + at, 0, 8);
  }
  CHECK(parse_gguf(good, "a").tensors.size() == 40);
  good.resize(good.size() / 2);
  require_error([&] { parse_gguf(good, "a"); }, ExitCode::file, {"overlap"});
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

TEST_CASE("torch state: pickles that multiply themselves are refused") {
  const auto text = [](const std::string& value) {
    const auto size = static_cast<std::uint32_t>(value.size());
    return cat('X', std::string(reinterpret_cast<const char*>(&size), 4), value);
  };
  const auto tensor = [&](const char* type, char offset, char size) {
    return cat("ctorch._utils\n_rebuild_tensor_v2\n((", text("storage"), "ctorch\n", type, "\n", text("0"),
               text("cpu"), "K\x06tQK", offset, "(K", size, "t(K\x01t\x89tR");
  };
  const auto entry = [&](const std::string& name, const std::string& value) { return text(name) + value; };

  // A dictionary that holds the next one twice, forty times.
  std::string doubled = std::string("}q\0", 3);
  for (char i = 0; i < 40; ++i)
    doubled += cat("}(", text("a"), 'h', i, text("b"), 'h', i, "uq", static_cast<char>(i + 1));
  require_refused(doubled + ".", {"too many tensors"});

  std::string steps(1 << 18, ']');
  require_refused(steps + ".", {"operations"});

  // The same part is made once; parts that differ take room of their own.
  std::string same = "}(", parts = "}(";
  for (int i = 0; i < 300; ++i) {
    same += entry(std::to_string(i), tensor("FloatStorage", '\1', '\5'));
    parts += entry(std::to_string(i),
                   tensor("FloatStorage", static_cast<char>(i % 5), static_cast<char>(1 + i % 5 % 2)));
  }
  const TensorMap read = read_torch_state(archive_with(same + "u."), "a.pt");
  REQUIRE(read.size() == 300);
  CHECK(read.at("0").is_same(read.at("299")));
  CHECK(read.at("0").storage().nbytes() == 20);
  CHECK(read_torch_state(archive_with(parts + "u."), "a.pt").size() == 300);
  require_refused(cat("}(", entry("a", tensor("FloatStorage", '\1', '\5')),
                      entry("b", tensor("IntStorage", '\0', '\6')), "u."),
                  {"two types"});
  require_refused(cat("}", entry(std::string(2000, 'n'), tensor("FloatStorage", '\0', '\6')), "s."),
                  {"name is too long"});
}

TEST_CASE("torch state: the parts of a storage together are no larger than the file") {
  const auto number = [](std::int32_t value) {
    return cat('J', std::string(reinterpret_cast<const char*>(&value), 4));
  };
  const auto text = [](const std::string& value) {
    return cat('X', static_cast<char>(value.size()), std::string(3, '\0'), value);
  };
  std::string pickle = "}(";
  for (int i = 1; i < 40; ++i) {
    pickle += cat(text(std::to_string(i)), "ctorch._utils\n_rebuild_tensor_v2\n((", text("storage"),
                  "ctorch\nFloatStorage\n", text("0"), text("cpu"), number(10'000), "tQ", number(i), "(",
                  number(10'000 - i), "t(", number(1), "t\x89tR");
  }
  const std::string archive =
      write_stored_zip({{"archive/data.pkl", pickle + "u."}, {"archive/data/0", std::string(40'000, '\0')}});
  require_error([&] { read_torch_state(archive, "a.pt"); }, ExitCode::file, {"larger than the file"});
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
