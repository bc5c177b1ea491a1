#include "data/class_labels.h"

#include <utility>
#include <variant>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kMostShown = 20;

/// The label of a classifier's row; null for other rows.
const std::string* label_of(const Content& content) {
  if (const auto* row = std::get_if<LabelledText>(&content)) return &row->label;
  if (const auto* row = std::get_if<LabelledTokens>(&content)) return &row->label;
  return nullptr;
}

std::string listed(std::vector<std::string> items) {
  const std::size_t more = items.size() > kMostShown ? items.size() - kMostShown : 0;
  items.resize(items.size() - more);
  return join(items, ", ") + (more ? cat(" and ", more, " more") : "");
}

struct Unknown {
  std::int64_t count = 0, first_line = 0;
};

}  // namespace

ClassLabels::ClassLabels(std::vector<std::string> names) : names_(std::move(names)) {
  for (std::size_t i = 0; i < names_.size(); ++i)
    index_.emplace(std::to_string(i), static_cast<std::int64_t>(i));
  for (std::size_t i = 0; i < names_.size(); ++i) index_[names_[i]] = static_cast<std::int64_t>(i);
}

std::optional<std::int64_t> ClassLabels::find(const std::string& label) const {
  const auto found = index_.find(label);
  return found == index_.end() ? std::nullopt : std::optional(found->second);
}

void ClassLabels::check(const DataSet& data) const {
  std::map<std::string, Unknown> unknown;
  for (const Example& example : data.examples) {
    const std::string* label = label_of(example.content);
    if (!label || find(*label)) continue;
    Unknown& entry = unknown[*label];
    if (entry.count++ == 0) entry.first_line = example.line;
  }
  if (unknown.empty()) return;
  std::vector<std::string> found;
  for (const auto& [label, entry] : unknown) {
    found.push_back(cat("\"", printable(label), "\" (", entry.count, entry.count == 1 ? " row" : " rows",
                        ", first ", data.is_array ? "element " : "line ", entry.first_line, ")"));
  }
  throw Error(ExitCode::data,
              cat(data.path.string(), ": ", unknown.size(), unknown.size() == 1 ? " label is" : " labels are",
                  " no class of the model: ", listed(std::move(found)), "; its classes are ",
                  printable(listed(names_))),
              cat("write classes by name, or by index from 0 to ", names_.size() - 1));
}

}  // namespace lora
