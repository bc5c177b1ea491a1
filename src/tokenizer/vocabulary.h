#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lora {

class Component;

/// Tokens of a model and their ids. Trainers leave holes between ids and list tokens twice, so both may be;
/// of the ids of one token the last counts.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// From the "vocab" of a model, an object (token -> id) or an array of [token, score]. File error for ids
  /// that are negative, used twice, or leave more holes than there are tokens.
  static Vocabulary parse(const Component& model);

  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  /// The greatest id and one.
  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  /// How many ids have a token.
  std::int32_t count() const { return count_; }
  bool contains(std::int32_t id) const {
    return id >= 0 && id < size() && known_[static_cast<std::size_t>(id)];
  }
  std::optional<std::int32_t> id_of(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  const std::string& token_of(std::int32_t id) const { return tokens_[static_cast<std::size_t>(id)]; }

 private:
  Vocabulary(std::vector<std::string> tokens, std::vector<bool> known);

  std::vector<std::string> tokens_;
  std::vector<bool> known_;  ///< false for holes
  std::int32_t count_ = 0;
  std::unordered_map<std::string_view, std::int32_t> ids_;  ///< keys are views of tokens_
};

/// Mismatch error for an id that a tokenizer of `size` tokens does not have.
[[noreturn]] void throw_unknown_id(std::int32_t id, std::int32_t size);

/// A set of ids.
class IdSet {
 public:
  void insert(std::int32_t id) {
    if (static_cast<std::size_t>(id) >= members_.size()) members_.resize(static_cast<std::size_t>(id) + 1);
    members_[static_cast<std::size_t>(id)] = true;
  }
  bool contains(std::int32_t id) const {
    return static_cast<std::size_t>(id) < members_.size() && members_[static_cast<std::size_t>(id)];
  }

 private:
  std::vector<bool> members_;
};

}  // namespace lora
