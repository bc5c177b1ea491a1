#include "model/pickle_names.h"

#include <set>

#include "base/pickle_cursor.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr char kStop = '.', kGlobal = 'c', kText = 'X', kLong = '\x8a';
constexpr std::string_view kPlain =
    "()]}NRQtldbseua\x81\x85\x86\x87\x88\x89";  ///< operations without arguments
constexpr std::string_view kOneByte = "\x80Kqh", kTwoBytes = "M", kFourBytes = "Jrj", kEightBytes = "G";
/// A type's name that begins so is a class of C++, in whatever container it stands.
constexpr std::string_view kForeignTypes[] = {"torch.classes.", "torch.cuda."};

class PickleWalk {
 public:
  PickleWalk(std::string_view pickle, const std::string& place)
      : cursor_(pickle, cat(place, ": no pickle of a model"),
                "the file is damaged or incomplete: write or copy it again") {}

  PickleNames run() {
    while (const char operation = cursor_.take(1)[0]) {
      if (operation == kStop) break;
      step(operation);
    }
    return {{globals_.begin(), globals_.end()}, {types_.begin(), types_.end()}};
  }

 private:
  void step(char operation) {
    const auto is_in = [&](std::string_view set) { return set.find(operation) != std::string_view::npos; };
    if (operation == kGlobal) {
      const std::string_view module = cursor_.line(), name = cursor_.line();
      globals_.insert(cat(module, ".", name));
    } else if (operation == kText) {
      const std::string_view text = cursor_.take(cursor_.number<std::uint32_t>());
      for (std::string_view foreign : kForeignTypes) {
        if (text.find(foreign) != std::string_view::npos) types_.emplace(text);
      }
    } else if (operation == kLong) {
      cursor_.take(static_cast<unsigned char>(cursor_.take(1)[0]));
    } else if (!is_in(kPlain)) {
      const std::size_t size = is_in(kOneByte)      ? 1
                               : is_in(kTwoBytes)   ? 2
                               : is_in(kFourBytes)  ? 4
                               : is_in(kEightBytes) ? 8
                                                    : 0;
      if (size == 0) cursor_.fail(cat("operation ", static_cast<int>(static_cast<unsigned char>(operation))));
      cursor_.take(size);
    }
  }

  PickleCursor cursor_;
  std::set<std::string> globals_, types_;
};

}  // namespace

PickleNames pickle_names(std::string_view pickle, const std::string& place) {
  return PickleWalk(pickle, place).run();
}

}  // namespace lora
