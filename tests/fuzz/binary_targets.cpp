#include <ATen/ATen.h>

#include "base/zip_archive.h"
#include "base/zip_writer.h"
#include "fuzz_target.h"
#include "lora/base/text.h"
#include "lora/checkpoint/safetensors.h"
#include "merge/gguf_file.h"
#include "merge/stored_zip.h"
#include "merge/torch_state.h"
#include "model/archive_code.h"
#include "support/zip_of.h"
#include "tokenizer/sentencepiece_model.h"
#include "unit/tokenizer/sentencepiece_writer.h"

namespace lora::fuzz {
namespace {

using Inputs = std::vector<std::string>;
using test::zip_of;

template <class Number>
std::string raw(Number value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// --- safetensors ---

void read_header(std::string_view input) { parse_safetensors(input, "input"); }

std::string with_length(const std::string& header, const std::string& data) {
  return raw(std::uint64_t{header.size()}) + header + data;
}

Inputs safetensors_seeds() {
  return {
      serialize_safetensors({{{"a", at::arange(6, at::kFloat).view({2, 3})}, {"b", at::ones({4}, at::kHalf)}},
                             {{"lora.base", "x"}}}),
      serialize_safetensors({{{"empty", at::empty({0, 3})}, {"flags", at::ones({2}, at::kBool)}}, {}}),
      with_length("{}", "")};
}

/// Many tensors without content: a header is all there is.
Inputs many_tensors() {
  std::string header = "{";
  for (int i = 0; header.size() < (4 << 20); ++i)
    header += cat(i ? "," : "", "\"", i, R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})");
  return {with_length(header + "}", "")};
}

// --- GGUF ---

void read_gguf(std::string_view input) { parse_gguf(input, "input"); }

Inputs gguf_seeds() {
  GgufFile file;
  file.metadata = {{"general.type", std::string("adapter")},
                   {"adapter.lora.alpha", 8.0},
                   {"n", std::int64_t{3}},
                   {"f", true}};
  file.tensors["a"] = at::arange(6, at::kFloat).view({2, 3});
  file.tensors["b"] = at::ones({4}, at::kHalf);
  const std::string array = cat("GGUF", raw(std::uint32_t{3}), raw(std::uint64_t{0}), raw(std::uint64_t{1}),
                                raw(std::uint64_t{1}), "k", raw(std::uint32_t{9}), raw(std::uint32_t{8}),
                                raw(std::uint64_t{2}), raw(std::uint64_t{1}), "x", raw(std::uint64_t{0}));
  return {serialize_gguf(file), array};
}

/// Tensors that all claim the same megabyte.
Inputs overlapping_tensors() {
  const std::uint64_t count = 1000, values = 1 << 18;
  std::string file = cat("GGUF", raw(std::uint32_t{3}), raw(count), raw(std::uint64_t{0}));
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string name = std::to_string(i);
    file += cat(raw(std::uint64_t{name.size()}), name, raw(std::uint32_t{1}), raw(values),
                raw(std::uint32_t{0}), raw(std::uint64_t{0}));
  }
  file.resize((file.size() + 31) / 32 * 32);
  return {file + std::string(values * 4, '\1')};
}

// --- ZIP ---

void read_zip(std::string_view input) {
  const auto entries = list_zip(input, "input");
  read_archive_code(entries, input.size(), "input");
}

Inputs zip_seeds() {
  const std::string packed("\x2b\x48\x2c\x2e\x06\x00", 6);  // "pass"
  std::string bytes;
  ZipWriter writer([&](std::string_view part) { bytes += part; });
  writer.add("m/data.pkl", "K\1.");
  writer.copy({"m/code/__torch__/m.py", ZipEntry::kDeflated, 0xce70d424, 4, packed});
  writer.finish();
  return {bytes, zip_of({}), zip_of({{"a/data.pkl", "x"}, {"a/data/0", std::string(80, 'y')}, {"b", ""}})};
}

Inputs many_entries() {
  std::vector<std::pair<std::string, std::string>> entries;
  for (int i = 0; i < 40'000; ++i) entries.emplace_back(cat("m/", i), "");
  return {zip_of(entries)};
}

// --- pickles of torch.save ---

void read_pickle(std::string_view input) { read_torch_state(input, "input"); }

Inputs state_seeds() {
  const TensorMap state = {{"x.lora_A", at::arange(6, at::kFloat).view({2, 3})},
                           {"x.lora_B", at::ones({4, 2}, at::kBFloat16)}};
  return {write_torch_state(state), write_torch_state({})};
}

std::string state_of(const std::string& pickle) {
  return write_stored_zip({{"a/data.pkl", pickle}, {"a/data/0", std::string(1 << 20, '\0')}});
}

/// A tensor of four bytes less in each of many places; a long text recalled again and again; dictionaries
/// that hold the next one twice; lists of nothing.
Inputs greedy_pickles() {
  const auto text = [](const std::string& value) {
    return cat("X", raw(static_cast<std::uint32_t>(value.size())), value);
  };
  const auto number = [](std::int32_t value) { return cat("J", raw(value)); };
  std::string parts = "}(";
  for (int i = 0; i < 2000; ++i) {
    parts += cat(text(std::to_string(i)), "ctorch._utils\n_rebuild_tensor_v2\n((", text("storage"),
                 "ctorch\nFloatStorage\n", text("0"), text("cpu"), number(1 << 18), "tQ", number(i), "(",
                 number((1 << 18) - i), "t(", number(1), "t\x89)tR");
  }
  std::string recalled = cat(text(std::string(1 << 20, 'x')), "q", raw(std::uint8_t{0}));
  for (int i = 0; i < 100'000; ++i) recalled += std::string("h\0", 2);
  std::string doubled = cat("}q", raw(std::uint8_t{0}));
  for (std::uint8_t i = 0; i < 60; ++i)
    doubled += cat("}(", text("a"), "h", raw(i), text("b"), "h", raw(i), "uq",
                   raw(static_cast<std::uint8_t>(i + 1)));
  std::string lists;
  for (int i = 0; i < 400'000; ++i) lists += "]";
  return {state_of(parts + "u."), state_of(recalled + "."), state_of(doubled + "."), state_of(lists + ".")};
}

// --- SentencePiece ---

void read_sentencepiece(std::string_view input) { SentencePieceModel(std::string(input), "input"); }

Inputs sentencepiece_seeds() { return {lora::test::spm_model(lora::test::spm_pieces(), {})}; }

/// Many long pieces that share little, and many short ones.
Inputs large_models() {
  std::vector<lora::test::SpmPiece> longs = lora::test::spm_pieces(), shorts = longs;
  for (int i = 0; i < 40'000; ++i)
    longs.push_back({cat(i, std::string(90, static_cast<char>('a' + i % 26)), i), -5});
  for (int i = 0; i < 250'000; ++i) shorts.push_back({cat("x", i), -5});
  return {lora::test::spm_model(longs), lora::test::spm_model(shorts)};
}

}  // namespace

std::vector<FuzzTarget> binary_targets() {
  return {{"safetensors", read_header, safetensors_seeds, many_tensors, 40},
          {"gguf", read_gguf, gguf_seeds, overlapping_tensors},
          {"zip", read_zip, zip_seeds, many_entries},
          {"torch_state", read_pickle, state_seeds, greedy_pickles, 16},
          {"sentencepiece", read_sentencepiece, sentencepiece_seeds, large_models}};
}

}  // namespace lora::fuzz
