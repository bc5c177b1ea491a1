#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lora {

class Component;

/// Tokens of a model, numbered from 0 without holes.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// From the "vocab" of a model, an object (token -> id) or an array of [token, score]. File error for ids
  /// that are negative, twice used or leave holes, and for tokens that occur twice.
  static Vocabulary parse(const Component& model);

  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  std::optional<std::int32_t> id_of(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  const std::string& token_of(std::int32_t id) const { return tokens_[static_cast<std::size_t>(id)]; }

 private:
  explicit Vocabulary(std::vector<std::string> tokens);

  std::vector<std::string> tokens_;
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
