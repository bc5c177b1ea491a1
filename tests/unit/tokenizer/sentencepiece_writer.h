#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace lora::test {

/// A field of a protocol-buffer message in wire format.
inline std::string proto_number(int field, std::uint64_t value) {
  std::string out;
  for (std::uint64_t rest : {static_cast<std::uint64_t>(field) << 3, value}) {
    for (; rest >= 0x80; rest >>= 7) out += static_cast<char>(rest | 0x80);
    out += static_cast<char>(rest);
  }
  return out;
}

/// Fields below 16 have a key of one byte.
inline std::string proto_bytes(int field, const std::string& value) {
  std::string out = proto_number(field, value.size());
  out[0] = static_cast<char>(field << 3 | 2);
  return out + value;
}

inline std::string proto_float(int field, float value) {
  std::string out(1, static_cast<char>(field << 3 | 5));
  char bytes[4];
  std::memcpy(bytes, &value, 4);
  return out.append(bytes, 4);
}

struct SpmPiece {
  std::string text;
  float score;
  int type = 1;  ///< 1 normal, 2 unknown, 3 control, 4 user-defined
};

struct SpmOptions {
  bool dummy_prefix = true;
  std::string charsmap;
};

/// A SentencePiece unigram model as bytes.
inline std::string spm_model(const std::vector<SpmPiece>& pieces, const SpmOptions& options = {}) {
  std::string model;
  for (const SpmPiece& piece : pieces)
    model += proto_bytes(1, proto_bytes(1, piece.text) + proto_float(2, piece.score) +
                                proto_number(3, static_cast<std::uint64_t>(piece.type)));
  model += proto_bytes(2, proto_number(3, 1));  // trainer_spec: model_type UNIGRAM
  model += proto_bytes(3, proto_bytes(1, "identity") +
                              (options.charsmap.empty() ? "" : proto_bytes(2, options.charsmap)) +
                              proto_number(3, options.dummy_prefix) + proto_number(4, 0));
  return model;
}

/// <unk> 0, <s> 1, </s> 2, ▁ 3, ▁hi 4, h 5, i 6, <mark> 7 (user-defined), < 8, > 9, s 10, mark 11, / 12
inline std::vector<SpmPiece> spm_pieces() {
  return {{"<unk>", 0, 2},  {"<s>", 0, 3}, {"</s>", 0, 3}, {"▁", -3}, {"▁hi", -1},  {"h", -4}, {"i", -4},
          {"<mark>", 0, 4}, {"<", -4},     {">", -4},      {"s", -4}, {"mark", -2}, {"/", -4}};
}

}  // namespace lora::test
