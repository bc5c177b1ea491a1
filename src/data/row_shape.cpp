#include "data/row_shape.h"

#include <algorithm>
#include <set>

#include "data/row_contents.h"
#include "lora/base/text.h"

namespace lora {
namespace {

std::vector<std::string> names_of(const Json& row) {
  std::vector<std::string> names;
  for (const auto& [name, value] : row.items()) {
    names.push_back(printable(name) + (value.is_null() ? " (null)" : ""));
  }
  return names;
}

/// "did you mean prompt for promt?" for each name that is close to a standard one.
std::string suggestions(const Json& row) {
  const auto standard = standard_fields();
  std::string text;
  for (const auto& [name, value] : row.items()) {
    if (std::find(standard.begin(), standard.end(), name) != standard.end()) continue;
    const auto nearest = nearest_names(name, standard, 1);
    if (!nearest.empty()) text += cat("did you mean ", nearest[0], " for ", printable(name), "? ");
  }
  return text;
}

[[noreturn]] void refuse_unknown(const RowFields& row) {
  std::string missing;
  for (const auto& [field, name] : row.names().mapped()) {
    if (!row.find(field))
      missing += cat("; --fields maps ", field, " to \"", printable(name), "\", which it lacks");
  }
  std::vector<std::string> shapes;
  for (const RowShape& shape : row_shapes()) shapes.push_back(cat("{", shape.name(), "}"));
  const auto names = names_of(row.row());
  throw Error(row.origin().code,
              cat(row.origin().place, ": unknown row shape: the fields are ",
                  names.empty() ? "none" : join(names, ", "), missing),
              cat(suggestions(row.row()), "a row is one of ", join(shapes, ", "),
                  "; fields of other names are mapped with --fields prompt=question completion=answer"));
}

}  // namespace

std::string RowShape::name() const {
  std::string text = join(required, ", ");
  for (const std::string& field : optional) text += cat("[, ", field, "]");
  return text;
}

bool RowShape::fits(const RowFields& row) const {
  return std::all_of(required.begin(), required.end(), [&](const auto& field) { return row.find(field); });
}

const std::vector<RowShape>& row_shapes() {
  static const std::vector<RowShape> shapes = {
      {{"messages"}, {}, read_messages},
      {{"prompt", "choices", "answer"}, {}, read_multiple_choice},
      {{"prompt", "completion"}, {}, read_prompt_completion},
      {{"instruction", "output"}, {"input"}, read_instruction},
      {{"input_ids", "labels"}, {"attention_mask"}, read_token_sequence},
      {{"input_ids", "label"}, {"attention_mask"}, read_labelled_tokens},
      {{"text", "label"}, {"text_pair"}, read_labelled_text},
      {{"text"}, {}, read_plain_text},
  };
  return shapes;
}

std::vector<std::string> standard_fields() {
  std::set<std::string> fields = {"role", "content"};
  for (const RowShape& shape : row_shapes()) {
    fields.insert(shape.required.begin(), shape.required.end());
    fields.insert(shape.optional.begin(), shape.optional.end());
  }
  return {fields.begin(), fields.end()};
}

const RowShape& shape_of(const RowFields& row) {
  for (const RowShape& shape : row_shapes()) {
    if (shape.fits(row)) return shape;
  }
  refuse_unknown(row);
}

std::vector<std::string> unused_fields(const RowShape& shape, const RowFields& row) {
  std::set<std::string> used;
  for (const auto* fields : {&shape.required, &shape.optional}) {
    for (const std::string& field : *fields) {
      if (const std::string* name = row.names().in_file(field)) used.insert(*name);
    }
  }
  std::vector<std::string> unused;
  for (const auto& [name, value] : row.row().items()) {
    if (!used.count(name)) unused.push_back(name);
  }
  return unused;
}

}  // namespace lora
