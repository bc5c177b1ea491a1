#include "base/json.h"

#include <algorithm>
#include <unordered_set>

#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kDeepest = 64;
constexpr std::size_t kExcerpt = 30;  ///< characters shown on each side of a defect
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// "line 3, column 17 near ...": columns count bytes from 1.
std::string position_text(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t begin_of_line = line == 1 ? 0 : before.rfind('\n') + 1;
  std::string at = line == 1 ? "" : cat("line ", line, ", ");
  at += cat("column ", std::max<std::size_t>(1, offset - begin_of_line));
  const std::size_t begin = offset > kExcerpt ? offset - kExcerpt : 0;
  const std::string excerpt = printable(text.substr(begin, offset + kExcerpt - begin));
  return excerpt.empty() ? at : cat(at, ", near ", begin ? "..." : "", trim(excerpt));
}

/// "parse error at line 1, column 3: syntax error while ..." without nlohmann's own position.
std::string reason_of(const nlohmann::json::exception& error) {
  const std::string what = error.what();
  for (const std::string_view mark : {"invalid ", "unexpected ", "syntax error ", "number overflow"}) {
    if (const auto found = what.rfind(mark); found != std::string::npos) {
      const std::string_view reason = std::string_view(what).substr(found);
      return printable(reason.substr(0, reason.find("; last read")));
    }
  }
  return printable(what);
}

/// Builds a document from parser events under the rules of parse_json.
class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return value(nullptr); }
  bool boolean(bool item) override { return value(item); }
  bool number_integer(number_integer_t item) override { return value(item); }
  bool number_unsigned(number_unsigned_t item) override { return value(item); }
  bool number_float(number_float_t item, const string_t&) override { return value(item); }
  bool string(string_t& item) override { return value(std::move(item)); }
  bool binary(binary_t&) override { return fail("binary values are not JSON"); }

  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return open(Json::object());
  }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second) return fail(cat("the key \"", printable(name), "\" occurs twice"));
    // Straight into the vector behind the map: its own lookup is linear.
    auto& entries = static_cast<std::vector<Json::object_t::value_type>&>(open_.back()->get_ref<Json::object_t&>());
    slot_ = &entries.emplace_back(std::move(name), nullptr).second;
    return true;
  }
  bool end_object() override {
    keys_.pop_back();
    return close();
  }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) override {
    position_ = position;
    return fail(reason_of(error));
  }

  Json take() { return std::move(root_); }
  const std::string& failure() const { return failure_; }
  std::optional<std::size_t> position() const { return position_; }

 private:
  template <class Value>
  bool value(Value&& item) {
    place(Json(std::forward<Value>(item)));
    return true;
  }

  Json* place(Json item) {
    if (open_.empty()) {
      root_ = std::move(item);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(item));
      return &open_.back()->back();
    }
    *slot_ = std::move(item);
    return slot_;
  }

  bool open(Json container) {
    if (open_.size() >= kDeepest) return fail(cat("it is nested deeper than ", kDeepest, " levels"));
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  bool fail(std::string why) {
    failure_ = std::move(why);
    return false;
  }

  Json root_;
  std::vector<Json*> open_;
  std::vector<std::unordered_set<std::string>> keys_;  ///< of each open object
  Json* slot_ = nullptr;                               ///< where the next member's value goes
  std::string failure_;
  std::optional<std::size_t> position_;
};

}  // namespace

Json parse_json(std::string_view text, const JsonOrigin& origin) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  StrictBuilder builder;
  // The parser would take a zero byte for the end of the text.
  if (const auto zero = text.find('\0'); zero != std::string_view::npos) {
    throw Error(origin.code, cat(origin.place, ": malformed JSON: a zero byte at ", position_text(text, zero + 1)));
  }
  if (trim(text).empty()) throw Error(origin.code, cat(origin.place, ": no JSON, it is empty"));
  if (!Json::sax_parse(text, &builder)) {
    const auto position = builder.position();
    throw Error(origin.code, cat(origin.place, ": malformed JSON: ", builder.failure(),
                                 position ? cat(" at ", position_text(text, *position)) : ""));
  }
  return builder.take();
}

}  // namespace lora
