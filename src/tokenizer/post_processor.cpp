#include "tokenizer/post_processor.h"

#include <algorithm>

#include "tokenizer/component.h"

namespace lora {
namespace {

std::int32_t checked_id(const Component& component, const Json& value) {
  const std::int64_t id = json_int(value, "id", component.origin());
  if (id < 0 || id > INT32_MAX) component.refuse(cat("the id ", id, " is out of range"));
  return static_cast<std::int32_t>(id);
}

/// The id in "sep" or "cls", a pair [token, id].
TokenIds named_id(const Component& component, std::string_view key) {
  const Json& pair = component.at(key);
  if (!pair.is_array() || pair.size() != 2) component.refuse(cat("\"", key, "\" must be [token, id]"));
  return {checked_id(component, pair[1])};
}

TokenIds special_ids(const Component& component, const std::string& name) {
  const Component specials = component.child("special_tokens");
  TokenIds ids;
  const Json& listed = specials.child(name).at("ids");
  if (!listed.is_array()) specials.refuse(cat("the ids of \"", printable(name), "\" must be an array"));
  for (const Json& id : listed) ids.push_back(checked_id(specials, id));
  return ids;
}

}  // namespace

PostProcessor::PostProcessor()
    : single_{{Piece::Kind::first, {}, 0}},
      pair_{{Piece::Kind::first, {}, 0}, {Piece::Kind::second, {}, 1}} {}

PostProcessor PostProcessor::parse(const Component& component) {
  const std::string type = component.type();
  if (type == "ByteLevel") return {};  // only moves offsets
  if (type == "TemplateProcessing") return parse_template(component);
  if (type == "BertProcessing") return parse_bert(component);
  if (type == "RobertaProcessing") return parse_roberta(component);
  if (type == "Sequence") return parse_sequence(component);
  component.refuse(cat("the type \"", printable(type), "\" is not supported"),
                   "supported: BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing");
}

PostProcessor PostProcessor::parse_template(const Component& component) {
  PostProcessor made;
  made.single_ = read_template(component, "single");
  made.pair_ = read_template(component, "pair");
  for (const Piece& piece : made.single_) {
    if (piece.kind == Piece::Kind::second) component.refuse("\"single\" names a second sequence");
  }
  return made;
}

PostProcessor::Pieces PostProcessor::read_template(const Component& component, std::string_view key) {
  Pieces pieces;
  for (const Component& item : component.children(key)) {
    const bool is_sequence = item.has("Sequence");
    const Component piece = item.child(is_sequence ? "Sequence" : "SpecialToken");
    const std::string id = piece.text("id");
    const auto type = checked_id(piece, piece.at("type_id"));
    if (!is_sequence) {
      pieces.push_back({Piece::Kind::fixed, special_ids(component, id), type});
    } else if (id == "A" || id == "B") {
      pieces.push_back({id == "A" ? Piece::Kind::first : Piece::Kind::second, {}, type});
    } else {
      piece.refuse(cat("the sequence \"", printable(id), "\" is neither A nor B"));
    }
  }
  return pieces;
}

PostProcessor PostProcessor::parse_bert(const Component& component) {
  const TokenIds cls = named_id(component, "cls"), sep = named_id(component, "sep");
  PostProcessor made;
  made.single_ = {{Piece::Kind::fixed, cls, 0}, {Piece::Kind::first, {}, 0}, {Piece::Kind::fixed, sep, 0}};
  made.pair_ = made.single_;
  made.pair_.push_back({Piece::Kind::second, {}, 1});
  made.pair_.push_back({Piece::Kind::fixed, sep, 1});
  return made;
}

PostProcessor PostProcessor::parse_roberta(const Component& component) {
  const TokenIds cls = named_id(component, "cls"), sep = named_id(component, "sep");
  PostProcessor made;
  made.single_ = {{Piece::Kind::fixed, cls, 0}, {Piece::Kind::first, {}, 0}, {Piece::Kind::fixed, sep, 0}};
  made.pair_ = made.single_;
  made.pair_.push_back({Piece::Kind::fixed, sep, 0});
  made.pair_.push_back({Piece::Kind::second, {}, 0});
  made.pair_.push_back({Piece::Kind::fixed, sep, 0});
  return made;
}

/// Of several processors only one may add tokens.
PostProcessor PostProcessor::parse_sequence(const Component& component) {
  PostProcessor made;
  int adding = 0;
  for (const Component& part : component.children("processors")) {
    if (part.type() == "ByteLevel") continue;
    if (++adding > 1) part.refuse("a second processor that adds tokens is not supported");
    made = parse(part);
  }
  return made;
}

PostProcessor PostProcessor::around(std::optional<std::int32_t> bos, std::optional<std::int32_t> eos) {
  PostProcessor made;
  const auto surround = [&](Piece::Kind kind, std::int32_t type, Pieces& pieces) {
    if (bos) pieces.push_back({Piece::Kind::fixed, {*bos}, type});
    pieces.push_back({kind, {}, type});
    if (eos) pieces.push_back({Piece::Kind::fixed, {*eos}, type});
  };
  made.single_.clear();
  made.pair_.clear();
  surround(Piece::Kind::first, 0, made.single_);
  surround(Piece::Kind::first, 0, made.pair_);
  surround(Piece::Kind::second, 1, made.pair_);
  return made;
}

std::int32_t PostProcessor::greatest_id() const {
  std::int32_t greatest = -1;
  for (const Pieces* pieces : {&single_, &pair_}) {
    for (const Piece& piece : *pieces) {
      for (const std::int32_t id : piece.ids) greatest = std::max(greatest, id);
    }
  }
  return greatest;
}

TokenPair PostProcessor::apply(const TokenIds& first, const TokenIds* second) const {
  TokenPair out;
  for (const Piece& piece : second == nullptr ? single_ : pair_) {
    const TokenIds& ids = piece.kind == Piece::Kind::fixed   ? piece.ids
                          : piece.kind == Piece::Kind::first ? first
                                                             : *second;
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.types.insert(out.types.end(), ids.size(), piece.type);
  }
  return out;
}

}  // namespace lora
