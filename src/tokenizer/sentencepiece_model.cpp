#include "tokenizer/sentencepiece_model.h"

#include <stdexcept>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/proto_reader.h"

namespace lora {
namespace {

constexpr std::size_t kLongestPiece = 4096;

// Field numbers of sentencepiece_model.proto.
enum ModelField { kPieces = 1, kNormalizerSpec = 3 };
enum PieceField { kPiece = 1, kType = 3 };
enum NormalizerField { kCharsMap = 2, kAddDummyPrefix = 3 };

/// normalizer_spec { add_dummy_prefix: false }: a message that occurs again is merged into the first.
constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00", 4);

}  // namespace

SentencePieceModel::SentencePieceModel(std::string bytes, const std::string& name)
    : bytes_(std::move(bytes)) {
  try {
    read();
  } catch (const std::invalid_argument& wrong) {
    throw Error(ExitCode::file, cat(name, ": not a SentencePiece model: ", wrong.what()),
                "the file is damaged or of another kind; get it again");
  }
}

void SentencePieceModel::read() {
  for (ProtoReader field(bytes_); field.next();) {
    if (!field.is_bytes()) continue;
    if (field.field() == kPieces) read_piece(field.bytes(), field.value_offset());
    if (field.field() == kNormalizerSpec) read_normalizer(field.bytes());
  }
  if (pieces_.empty()) throw std::invalid_argument("it has no pieces");
}

void SentencePieceModel::read_piece(std::string_view message, std::size_t offset) {
  Piece piece;
  for (ProtoReader field(message); field.next();) {
    if (field.field() == kPiece && field.is_bytes()) piece.text = field.bytes();
    if (field.field() == kType && field.is_number()) {
      piece.type = static_cast<Type>(field.number());
      piece.type_offset = offset + field.value_offset();
    }
  }
  if (piece.text.size() > kLongestPiece || !is_valid_utf8(piece.text))
    throw std::invalid_argument(
        cat("piece ", pieces_.size(), " is not UTF-8 of at most ", kLongestPiece, " bytes"));
  pieces_.push_back(std::move(piece));
}

void SentencePieceModel::read_normalizer(std::string_view message) {
  for (ProtoReader field(message); field.next();) {
    if (field.field() == kCharsMap && field.is_bytes() && !field.bytes().empty())
      CharsMap check(field.bytes());
    if (field.field() == kAddDummyPrefix && field.is_number()) adds_dummy_prefix_ = field.number() != 0;
  }
}

void SentencePieceModel::make_control(std::size_t piece) {
  pieces_[piece].type = Type::control;
  bytes_[pieces_[piece].type_offset] = static_cast<char>(Type::control);
}

std::string SentencePieceModel::bytes_without_dummy_prefix() const { return cat(bytes_, kNoDummyPrefix); }

}  // namespace lora
