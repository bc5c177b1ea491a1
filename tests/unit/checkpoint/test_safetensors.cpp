#include <ATen/ATen.h>

#include <cstring>

#include "checkpoint/content_hash.h"
#include "lora/checkpoint/safetensors.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

/// A file with the given header text and data.
std::string file(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

void require_refused(const std::string& bytes, std::initializer_list<std::string> parts) {
  require_error([&] { parse_safetensors(bytes, "a.safetensors"); }, ExitCode::file, parts);
}

const std::string kFour(4, '\0'), kEight(8, '\0');

}  // namespace

TEST_CASE("safetensors: every dtype, scalars and empty tensors survive a round trip") {
  SafetensorsFile written;
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                                    at::kShort, at::kChar, at::kByte, at::kBool}) {
    written.tensors[std::string("t.") + at::toString(type)] = (at::arange(6).view({2, 3}) % 2).to(type);
  }
  written.tensors["scalar"] = at::scalar_tensor(1.5);
  written.tensors["empty"] = at::empty({0, 3});
  written.tensors["transposed"] = at::arange(6, at::kFloat).view({2, 3}).t();
  written.metadata = {{"format", "pt"}, {"note", "\"quoted\" \u00e9\n"}};
  const SafetensorsFile read = parse_safetensors(serialize_safetensors(written), "here");
  CHECK(read.metadata == written.metadata);
  REQUIRE(read.tensors.size() == written.tensors.size());
  for (const auto& [name, tensor] : written.tensors) {
    INFO(name);
    CHECK(read.tensors.at(name).scalar_type() == tensor.scalar_type());
    CHECK(read.tensors.at(name).sizes() == tensor.sizes());
    CHECK(at::equal(read.tensors.at(name), tensor));
  }
}

TEST_CASE("safetensors: bytes are as the format describes them") {
  SafetensorsFile written;
  written.tensors["b"] = at::tensor({1.f});
  written.tensors["a"] = at::tensor({2.f});
  written.tensors["0"] = at::ones({1}, at::kBool);
  const std::string bytes = serialize_safetensors(written);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  CHECK(length % 8 == 0);
  const std::string header = bytes.substr(8, length);
  CHECK(header.starts_with(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],)"
      R"("data_offsets":[4,8]},"0":{"dtype":"BOOL","shape":[1],"data_offsets":[8,9]}})"));
  CHECK(bytes.size() == 8 + length + 9);
}

TEST_CASE("safetensors: defects of the frame are file errors that say what was found") {
  require_refused("", {"a.safetensors", "0 bytes"});
  require_refused("1234567", {"7 bytes"});
  require_refused(std::string(8, '\xFF'),
                  {"header would have 18446744073709551615 bytes", "at most 100000000"});
  require_refused(file("{}").substr(0, 9), {"header would have 2 bytes, the file has 9"});
  for (const std::string& header : {std::string(" {}"), std::string("[]"), std::string("{}\0", 3),
                                    std::string("{} x"), std::string("{}\n"), std::string()}) {
    require_refused(file(header), {"its header is no JSON object padded with spaces"});
  }
  require_refused(file("{x}"), {"header", "malformed JSON"});
  require_refused(file("{}", "1"), {"1 bytes of data belong to no tensor"});
  require_refused(file(R"({"__metadata__":{"a":1}})"), {"\"a\" must be a string"});
  require_refused(file(R"({"__metadata__":[]})"), {"__metadata__ is no JSON object"});
}

TEST_CASE("safetensors: defects of a tensor are file errors that name it") {
  const auto one = [](const std::string& entry, const std::string& data = kFour) {
    return file(R"({"x":)" + entry + "}", data);
  };
  CHECK(
      parse_safetensors(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), "").tensors.count("x") ==
      1);
  require_refused(one("1"), {"\"x\"", "must have dtype, shape and data_offsets"});
  require_refused(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1})"),
                  {"\"x\"", "nothing else"});
  require_refused(one(R"({"dtype":"F32","shape":[1]})"), {"\"x\"", "must have"});
  require_refused(one(R"({"dtype":"F8","shape":[4],"data_offsets":[0,4]})"),
                  {"\"x\"", "unknown dtype \"F8\""});
  require_refused(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"),
                  {"\"x\"", "shape [2]", "4 bytes"});
  require_refused(one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"),
                  {"\"x\"", "negative number -1"});
  require_refused(one(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})"), {"\"x\"", "whole number"});
  require_refused(one(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})"), {"\"x\"", "no array"});
  require_refused(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"),
                  {"\"x\"", "no valid data_offsets"});
  require_refused(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})"),
                  {"\"x\"", "no valid data_offsets"});
  require_refused(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"),
                  {"\"x\"", "ends at byte 8", "have 4"});
  require_refused(one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]})"),
                  {"\"x\"", "does not fit"});
  require_refused(one(R"({"dtype":"BOOL","shape":[4],"data_offsets":[0,4]})", std::string("\0\1\2\0", 4)),
                  {"\"x\"", "booleans other than 0 and 1"});
}

TEST_CASE("safetensors: overlaps, holes and duplicate names are file errors") {
  const auto two = [](const std::string& name, int begin, int end) {
    return file(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},")" + name +
                    R"(":{"dtype":"F32","shape":[1],"data_offsets":[)" + std::to_string(begin) + "," +
                    std::to_string(end) + "]}}",
                kEight);
  };
  CHECK(parse_safetensors(two("y", 4, 8), "").tensors.size() == 2);
  require_refused(two("y", 2, 6), {"\"y\"", "overlaps another", "byte 2", "expected 4"});
  require_refused(two("y", 0, 4), {"overlaps another"});
  require_refused(two("x", 4, 8), {"\"x\" occurs twice"});
  require_refused(file(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", kEight),
                  {"\"x\"", "leaves a hole"});
}

TEST_CASE("content hash: changes with names, types, shapes, bytes and metadata, not with the layout") {
  SafetensorsFile plain;
  plain.tensors = {{"a", at::tensor({1.f, 2.f})}, {"b", at::tensor({3.f})}};
  plain.metadata = {{"k", "v"}};
  const std::string hash = content_hash(plain);
  const auto changed = [&](auto change) {
    SafetensorsFile copy = plain;
    change(copy);
    return content_hash(copy) != hash;
  };
  CHECK(changed([](auto& f) { f.tensors["a"] = at::tensor({1.f, 2.5f}); }));
  CHECK(changed([](auto& f) { f.tensors["a"] = at::tensor({1.f, 2.f}).view({2, 1}); }));
  CHECK(changed([](auto& f) { f.tensors["a"] = f.tensors["a"].view(at::kInt); }));
  CHECK(changed([](auto& f) {
    f.tensors["c"] = f.tensors["b"];
    f.tensors.erase("b");
  }));
  CHECK(changed([](auto& f) { f.metadata["k"] = "w"; }));
  CHECK(changed([](auto& f) { f.metadata = {{"kv", ""}}; }));
  CHECK(changed([](auto& f) { f.metadata["l"] = "v"; }));
  CHECK_FALSE(changed([](auto& f) { f.metadata[kContentHashKey] = "anything"; }));
  CHECK_FALSE(changed([](auto& f) { f.tensors["a"] = at::tensor({1.f, 0.f, 2.f}).slice(0, 0, 3, 2); }));
}

TEST_CASE("safetensors: a mapped file shows the same tensors as the reader, without copies, and its bytes") {
  const TemporaryFolder folder;
  SafetensorsFile written;
  written.tensors["wide"] = at::arange(6, at::kDouble).view({2, 3});
  written.tensors["half"] = at::ones({3}, at::kHalf);
  written.tensors["odd"] = at::arange(3).to(at::kChar);
  written.tensors["empty"] = at::empty({0, 3});
  written.metadata = {{"format", "pt"}};
  const std::string bytes = serialize_safetensors(written);
  write_file_atomically(folder / "a.safetensors", bytes);
  const MappedSafetensors mapped(folder / "a.safetensors");
  CHECK(mapped.metadata() == written.metadata);
  REQUIRE(mapped.entries().size() == written.tensors.size());
  std::string again(mapped.header());
  for (const SafetensorsEntry& entry : mapped.entries()) {
    INFO(entry.name);
    again += mapped.bytes(entry);
    CHECK(at::equal(mapped.tensor(entry), written.tensors.at(entry.name)));
    if (entry.name == "wide") CHECK(mapped.tensor(entry).const_data_ptr() == mapped.bytes(entry).data());
  }
  CHECK(again == bytes);
  write_file_atomically(folder / "cut.safetensors", bytes.substr(0, bytes.size() - 1));
  require_error([&] { MappedSafetensors(folder / "cut.safetensors"); }, ExitCode::file, {"cut.safetensors"});
}

TEST_CASE("safetensors: tensors of a mapped file whose bytes are not aligned are copies") {
  const TemporaryFolder folder;
  const float value = 1.5f;
  write_file_atomically(folder / "a.safetensors",
                        file(R"({"b":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},)"
                             R"("f":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                             std::string(1, '\7') + std::string(reinterpret_cast<const char*>(&value), 4)));
  const MappedSafetensors mapped(folder / "a.safetensors");
  CHECK(mapped.tensor(mapped.entries()[1]).item<float>() == value);
}
