#include "tokenizer/metaspace.h"

#include "tokenizer/component.h"
#include "tokenizer/pattern.h"
#include "tokenizer/pre_tokenizer.h"

namespace lora {
namespace {

Metaspace::Prepend read_prepend(const Component& component) {
  const std::string scheme = component.text_or("prepend_scheme", "always");
  const bool old_flag = component.flag_or("add_prefix_space", true);  // before prepend_scheme existed
  if (!old_flag && component.has("prepend_scheme") && scheme != "never")
    component.refuse("\"add_prefix_space\" false contradicts \"prepend_scheme\"");
  if (scheme == "never" || !old_flag) return Metaspace::Prepend::never;
  if (scheme == "first") return Metaspace::Prepend::first;
  if (scheme == "always") return Metaspace::Prepend::always;
  component.refuse(cat("the prepend_scheme \"", printable(scheme), "\" is not supported"),
                   "supported: always, first, never");
}

class MetaspaceSplit : public PreTokenizer {
 public:
  explicit MetaspaceSplit(const Component& component)
      : settings_(Metaspace::parse(component)), space_(" "), cut_(settings_.replacement) {}

  void split(Fragment fragment, Fragments& out) const override {
    fragment.text = space_.replace(fragment.text, settings_.replacement);
    if (wants_prefix(fragment)) fragment.text.insert(0, settings_.replacement);
    if (settings_.split) {
      append_parts(fragment, split_spans(cut_.spans(fragment.text), SplitBehavior::merged_with_next), out);
    } else if (!fragment.text.empty()) {
      out.push_back(std::move(fragment));
    }
  }

 private:
  bool wants_prefix(const Fragment& fragment) const {
    if (fragment.text.starts_with(settings_.replacement)) return false;
    return settings_.prepend == Metaspace::Prepend::always ||
           (settings_.prepend == Metaspace::Prepend::first && fragment.at_start);
  }

  Metaspace settings_;
  Pattern space_, cut_;
};

}  // namespace

Metaspace Metaspace::parse(const Component& component) {
  Metaspace made;
  made.replacement = to_utf8(component.character("replacement"));
  made.prepend = read_prepend(component);
  made.split = component.flag_or("split", true);
  return made;
}

std::unique_ptr<PreTokenizer> make_metaspace(const Component& component) {
  return std::make_unique<MetaspaceSplit>(component);
}

}  // namespace lora
