#pragma once

#include <vector>

#include "lora/tokenizer/tokenizer.h"

namespace lora {

class Component;

/// What stands around and between sequences: a list of fixed ids and places for the sequences.
class PostProcessor {
 public:
  /// Nothing around a sequence; a pair is [a, type 0] [b, type 1].
  PostProcessor();
  /// File error for a type that is not supported.
  static PostProcessor parse(const Component& component);
  /// bos a eos, and for a pair bos a eos bos b eos with the second half of type 1.
  static PostProcessor around(std::optional<std::int32_t> bos, std::optional<std::int32_t> eos);

  /// The greatest id that it adds; -1 if it adds none.
  std::int32_t greatest_id() const;

  TokenPair apply(const TokenIds& first, const TokenIds* second) const;

 private:
  struct Piece {
    enum class Kind { fixed, first, second };
    Kind kind;
    TokenIds ids;  ///< of a fixed piece
    std::int32_t type;
  };
  using Pieces = std::vector<Piece>;

  static PostProcessor parse_template(const Component& component);
  static PostProcessor parse_bert(const Component& component);
  static PostProcessor parse_roberta(const Component& component);
  static PostProcessor parse_sequence(const Component& component);
  static Pieces read_template(const Component& component, std::string_view key);

  Pieces single_, pair_;
};

}  // namespace lora
