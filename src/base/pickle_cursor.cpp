#include "base/pickle_cursor.h"

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

std::string_view PickleCursor::take(std::uint64_t size) {
  if (size > pickle_.size() - position_) fail("it ends too early");
  const std::string_view part = pickle_.substr(position_, size);
  position_ += size;
  return part;
}

std::string_view PickleCursor::line() {
  const std::size_t end = pickle_.find('\n', position_);
  if (end == std::string_view::npos) fail("it ends too early");
  const std::string_view text = take(end - position_);
  take(1);
  return text;
}

void PickleCursor::fail(const std::string& what) const {
  throw Error(ExitCode::file, cat(place_, " at byte ", position_, ": ", what), help_);
}

}  // namespace lora
