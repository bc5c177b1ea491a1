#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lora {

/// What must be known of a SentencePiece `.model` (a serialised ModelProto) besides what its library tells,
/// checked before the library sees the bytes.
class SentencePieceModel {
 public:
  enum class Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    Type type = Type::normal;
    std::size_t type_offset = 0;  ///< of the byte that holds the type; 0 if the type is left out
  };

  /// File error naming `name` if the bytes are no ModelProto, a piece is longer than 4 KiB (longer ones
  /// overflow the library's stack: google/sentencepiece issue 1263), or the table of characters is damaged.
  SentencePieceModel(std::string bytes, const std::string& name);

  const std::string& bytes() const { return bytes_; }
  const std::vector<Piece>& pieces() const { return pieces_; }
  bool adds_dummy_prefix() const { return adds_dummy_prefix_; }

  /// Makes a user-defined piece a control piece, which no text can spell.
  void make_control(std::size_t piece);
  /// The model with add_dummy_prefix off.
  std::string bytes_without_dummy_prefix() const;

 private:
  void read();
  void read_piece(std::string_view message, std::size_t offset);
  void read_normalizer(std::string_view message);

  std::string bytes_;
  std::vector<Piece> pieces_;
  bool adds_dummy_prefix_ = true;
};

}  // namespace lora
