#include "tokenizer/decoder.h"

#include "tokenizer/byte_ids.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/component.h"
#include "tokenizer/metaspace.h"
#include "tokenizer/pattern.h"

namespace lora {
namespace {

using Tokens = std::vector<std::string>;

std::string joined(const Tokens& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

class ByteLevelDecoder : public Decoder {
 public:
  void apply(Tokens& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) bytes += bytes_of_chars(token);
    tokens = {replace_invalid_utf8(bytes)};
  }
};

class WordPieceDecoder : public Decoder {
 public:
  explicit WordPieceDecoder(const Component& component)
      : prefix_(component.text_or("prefix", "##")), cleanup_(component.flag_or("cleanup", true)) {}
  void apply(Tokens& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) {
        if (tokens[i].starts_with(prefix_)) {
          tokens[i].erase(0, prefix_.size());
        } else {
          tokens[i] = cat(" ", tokens[i]);
        }
      }
      if (cleanup_) clean(tokens[i]);
    }
  }

 private:
  /// Takes out the spaces that tokenising put before punctuation and English contractions.
  static void clean(std::string& token) {
    static const std::pair<Pattern, const char*> kChanges[] = {
        {Pattern(" ."), "."},     {Pattern(" ?"), "?"},           {Pattern(" !"), "!"},
        {Pattern(" ,"), ","},     {Pattern(" ' "), "'"},          {Pattern(" n't"), "n't"},
        {Pattern(" 'm"), "'m"},   {Pattern(" do not"), " don't"}, {Pattern(" 's"), "'s"},
        {Pattern(" 've"), "'ve"}, {Pattern(" 're"), "'re"},
    };
    for (const auto& [found, by] : kChanges) token = found.replace(token, by);
  }

  std::string prefix_;
  bool cleanup_;
};

class MetaspaceDecoder : public Decoder {
 public:
  explicit MetaspaceDecoder(const Component& component)
      : settings_(Metaspace::parse(component)), mark_(settings_.replacement) {}
  void apply(Tokens& tokens) const override {
    bool first = settings_.prepend != Metaspace::Prepend::never;
    for (std::string& token : tokens) {
      token = mark_.replace(token, first ? "" : " ");
      first = false;
    }
  }

 private:
  Metaspace settings_;
  Pattern mark_;
};

/// "<0x0A>" tokens in a row become the text that their bytes spell, or one U+FFFD each if they spell none.
class ByteFallback : public Decoder {
 public:
  void apply(Tokens& tokens) const override {
    Tokens out;
    std::string bytes;
    for (std::string& token : tokens) {
      if (const auto byte = byte_of_token(token)) {
        bytes += *byte;
        continue;
      }
      flush(bytes, out);
      out.push_back(std::move(token));
    }
    flush(bytes, out);
    tokens = std::move(out);
  }

 private:
  static void flush(std::string& bytes, Tokens& out) {
    if (bytes.empty()) return;
    if (is_valid_utf8(bytes)) {
      out.push_back(bytes);
    } else {
      out.insert(out.end(), bytes.size(), "\uFFFD");
    }
    bytes.clear();
  }
};

class Fuse : public Decoder {
 public:
  void apply(Tokens& tokens) const override { tokens = {joined(tokens)}; }
};

class ReplaceDecoder : public Decoder {
 public:
  explicit ReplaceDecoder(const Component& component)
      : pattern_(Pattern::parse(component)), by_(component.text("content")) {}
  void apply(Tokens& tokens) const override {
    for (std::string& token : tokens) token = pattern_.replace(token, by_);
  }

 private:
  Pattern pattern_;
  std::string by_;
};

/// Takes up to `start` and `stop` occurrences of a character off the ends of each token.
class StripDecoder : public Decoder {
 public:
  explicit StripDecoder(const Component& component)
      : content_(to_utf8(component.character("content"))),
        start_(component.integer_or("start", 0)),
        stop_(component.integer_or("stop", 0)) {}
  void apply(Tokens& tokens) const override {
    for (std::string& token : tokens) {
      for (std::int64_t i = 0; i < start_ && token.starts_with(content_); ++i)
        token.erase(0, content_.size());
      for (std::int64_t i = 0; i < stop_ && token.ends_with(content_); ++i)
        token.resize(token.size() - content_.size());
    }
  }

 private:
  std::string content_;
  std::int64_t start_, stop_;
};

/// End-of-word suffixes become spaces.
class BpeDecoder : public Decoder {
 public:
  explicit BpeDecoder(const Component& component) : suffix_(component.text_or("suffix", "</w>")) {}
  void apply(Tokens& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = suffix_.replace(tokens[i], i + 1 < tokens.size() ? " " : "");
  }

 private:
  Pattern suffix_;
};

class DecoderSequence : public Decoder {
 public:
  explicit DecoderSequence(const Component& component) {
    for (const Component& part : component.children("decoders")) parts_.push_back(make_decoder(part));
  }
  void apply(Tokens& tokens) const override {
    for (const auto& part : parts_) part->apply(tokens);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

constexpr Maker<Decoder> kDecoders[] = {
    {"BPEDecoder", make_from<Decoder, BpeDecoder>},      {"ByteFallback", make_from<Decoder, ByteFallback>},
    {"ByteLevel", make_from<Decoder, ByteLevelDecoder>}, {"Fuse", make_from<Decoder, Fuse>},
    {"Metaspace", make_from<Decoder, MetaspaceDecoder>}, {"Replace", make_from<Decoder, ReplaceDecoder>},
    {"Sequence", make_from<Decoder, DecoderSequence>},   {"Strip", make_from<Decoder, StripDecoder>},
    {"WordPiece", make_from<Decoder, WordPieceDecoder>},
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const Component& component) { return make_kind(component, kDecoders); }

}  // namespace lora
