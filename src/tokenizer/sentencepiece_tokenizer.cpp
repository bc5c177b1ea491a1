#include "tokenizer/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "tokenizer/sentencepiece_model.h"

namespace lora {
namespace {

constexpr const char* kFile = "tokenizer.model";
/// The library counts bytes in ints and needs some hundred bytes of memory per byte of text.
constexpr std::size_t kLongestText = std::size_t{1} << 26;

using Type = SentencePieceModel::Type;

std::unique_ptr<sentencepiece::SentencePieceProcessor> load(const std::string& bytes) {
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  sentencepiece::SetMinLogLevel(3);  // what it has to say is in the status
  const auto status = processor->LoadFromSerializedProto(bytes);
  if (!status.ok()) {
    throw Error(ExitCode::file,
                cat(kFile, ": SentencePiece refuses the model: ", printable(status.message())),
                "the file is damaged or of another kind; get it again");
  }
  return processor;
}

/// Checks that tokens with the ids of pieces are those pieces, and marks what the configuration calls
/// special.
void check_added(const SentencePieceModel& model, const std::unordered_set<std::string>& special,
                 std::vector<AddedToken>& added) {
  for (AddedToken& token : added) {
    token.special |= special.count(token.content) > 0;
    const auto id = static_cast<std::size_t>(token.id);
    if (id < model.pieces().size() && model.pieces()[id].text != token.content) {
      throw Error(ExitCode::file, cat("tokenizer_config.json: added_tokens_decoder: the token ", id, " is \"",
                                      printable(token.content), "\", but in ", kFile, " it is \"",
                                      printable(model.pieces()[id].text), "\""));
    }
  }
}

/// Tokens that are looked for before the library sees a text, by rising id: those of the configuration,
/// control pieces, the unknown piece, and special user-defined pieces, which become control pieces in
/// `model`.
std::vector<AddedToken> take_added_tokens(SentencePieceModel& model, const TokenizerConfig& config) {
  const std::vector<std::string> names = config.special_tokens();
  const std::unordered_set<std::string> special(names.begin(), names.end());
  std::vector<AddedToken> added = config.added;
  check_added(model, special, added);
  std::unordered_map<std::int32_t, bool> is_special;
  for (const AddedToken& token : added) is_special[token.id] = token.special;
  for (std::size_t i = 0; i < model.pieces().size(); ++i) {
    const auto& piece = model.pieces()[i];
    const auto id = static_cast<std::int32_t>(i);
    const auto known = is_special.find(id);
    const bool guarded = piece.type == Type::control || piece.type == Type::unknown ||
                         special.count(piece.text) > 0 || (known != is_special.end() && known->second);
    if (!guarded) continue;
    if (known == is_special.end()) added.push_back({id, piece.text, false, false, false, false, true});
    if (piece.type == Type::user_defined) model.make_control(i);
  }
  std::sort(added.begin(), added.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return added;
}

}  // namespace

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

std::unique_ptr<Tokenizer> SentencePieceTokenizer::make(const TokenizerFiles& files) {
  return std::unique_ptr<Tokenizer>(
      new SentencePieceTokenizer(files.at(kFile), TokenizerConfig::parse(files)));
}

SentencePieceTokenizer::SentencePieceTokenizer(std::string bytes, const TokenizerConfig& config)
    : legacy_(config.legacy), adds_prefix_(config.add_prefix_space.value_or(true)) {
  SentencePieceModel model(std::move(bytes), kFile);
  std::vector<AddedToken> added = take_added_tokens(model, config);
  first_ = load(model.bytes());
  if (model.adds_dummy_prefix()) inside_ = load(model.bytes_without_dummy_prefix());
  pieces_ = size_ = static_cast<std::int32_t>(first_->GetPieceSize());
  for (const AddedToken& token : added) {
    if (token.id > size_) {
      throw Error(ExitCode::file,
                  cat("tokenizer_config.json: added_tokens_decoder: the id ", token.id, " of \"",
                      printable(token.content), "\" leaves a hole after ", size_ - 1));
    }
    size_ = std::max(size_, token.id + 1);
  }
  added_.emplace(std::move(added), nullptr);
  special_ids_ = read_special_ids(config);
  const bool bos = config.add_bos.value_or(special_ids_.bos.has_value());
  const bool eos = config.add_eos.value_or(false);
  post_processor_ =
      PostProcessor::around(bos ? special_ids_.bos : std::nullopt, eos ? special_ids_.eos : std::nullopt);
}

/// The configuration's where it names a token, the model's otherwise.
SpecialIds SentencePieceTokenizer::read_special_ids(const TokenizerConfig& config) const {
  const auto known = [](int id) { return id < 0 ? std::nullopt : std::optional<std::int32_t>(id); };
  SpecialIds ids = config.present ? find_special_ids(config, *this, *added_) : SpecialIds{};
  if (!ids.bos) ids.bos = known(first_->bos_id());
  if (!ids.eos) ids.eos = known(first_->eos_id());
  if (!ids.pad) ids.pad = known(first_->pad_id());
  if (!ids.unk) ids.unk = known(first_->unk_id());
  return ids;
}

const SentencePieceTokenizer::Processor& SentencePieceTokenizer::processor(bool at_start) const {
  const bool prefix = adds_prefix_ && (at_start || legacy_);
  return prefix || !inside_ ? *first_ : *inside_;
}

void SentencePieceTokenizer::check_length(std::string_view text) const {
  if (text.size() <= kLongestText) return;
  throw Error(ExitCode::data,
              cat("a text of ", text.size(), " bytes is longer than ", kLongestText,
                  ", the most that SentencePiece is given"),
              "split the text into several rows");
}

void SentencePieceTokenizer::append_ids(Fragment fragment, SpecialText, TokenIds& ids) const {
  std::vector<int> encoded;
  const auto status = processor(fragment.at_start).Encode(fragment.text, &encoded);
  if (!status.ok()) throw Error(ExitCode::data, cat("SentencePiece: ", printable(status.message())));
  ids.insert(ids.end(), encoded.begin(), encoded.end());
}

std::string SentencePieceTokenizer::decode_run(const TokenIds& ids, bool at_start) const {
  std::string text;
  const auto status = processor(at_start).Decode(std::vector<int>(ids.begin(), ids.end()), &text);
  if (!status.ok()) throw Error(ExitCode::data, cat("SentencePiece: ", printable(status.message())));
  return text;
}

std::string SentencePieceTokenizer::decode(const TokenIds& ids, bool skip_special) const {
  std::string text;
  TokenIds run;
  bool at_start = true;
  const auto flush = [&] {
    if (!run.empty()) text += decode_run(run, at_start);
    at_start &= run.empty();
    run.clear();
  };
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= size_) continue;
    const AddedToken* added = added_->find(id);
    if (added == nullptr) {
      run.push_back(id);
    } else if (!added->special || !skip_special) {
      flush();
      text += added->content;
      at_start = false;
    }
  }
  flush();
  return text;
}

std::optional<std::int32_t> SentencePieceTokenizer::id_of(std::string_view token) const {
  if (const auto id = added_->id_of(token)) return id;
  const int id = first_->PieceToId(token);
  return first_->IdToPiece(id) == token ? std::optional<std::int32_t>(id) : std::nullopt;
}

std::string SentencePieceTokenizer::token_of(std::int32_t id) const {
  if (const AddedToken* added = added_->find(id)) return added->content;
  if (id < 0 || id >= pieces_) throw_unknown_id(id, size_);
  return first_->IdToPiece(id);
}

}  // namespace lora
