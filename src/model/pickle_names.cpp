#include "model/pickle_names.h"

#include <cstring>
#include <set>

#include "lora/base/error.h"
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
  PickleWalk(std::string_view pickle, const std::string& place) : pickle_(pickle), place_(place) {}

  PickleNames run() {
    while (const char operation = take(1)[0]) {
      if (operation == kStop) break;
      step(operation);
    }
    return {{globals_.begin(), globals_.end()}, {types_.begin(), types_.end()}};
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ExitCode::file, cat(place_, " byte ", position_, ": no pickle of a model: ", what),
                "the file is damaged or incomplete: write or copy it again");
  }

  std::string_view take(std::size_t size) {
    if (size > pickle_.size() - position_) fail("it ends too early");
    const std::string_view part = pickle_.substr(position_, size);
    position_ += size;
    return part;
  }

  std::string_view line() {
    const std::size_t end = pickle_.find('\n', position_);
    if (end == std::string_view::npos) fail("it ends too early");
    const std::string_view text = take(end - position_);
    take(1);
    return text;
  }

  void step(char operation) {
    const auto is_in = [&](std::string_view set) { return set.find(operation) != std::string_view::npos; };
    if (operation == kGlobal) {
      const std::string_view module = line(), name = line();
      globals_.insert(cat(module, ".", name));
    } else if (operation == kText) {
      std::uint32_t size;
      std::memcpy(&size, take(sizeof size).data(), sizeof size);
      const std::string_view text = take(size);
      for (std::string_view foreign : kForeignTypes) {
        if (text.find(foreign) != std::string_view::npos) types_.emplace(text);
      }
    } else if (operation == kLong) {
      take(static_cast<unsigned char>(take(1)[0]));
    } else if (!is_in(kPlain)) {
      const std::size_t size = is_in(kOneByte)      ? 1
                               : is_in(kTwoBytes)   ? 2
                               : is_in(kFourBytes)  ? 4
                               : is_in(kEightBytes) ? 8
                                                    : 0;
      if (size == 0) fail(cat("operation ", static_cast<int>(static_cast<unsigned char>(operation))));
      take(size);
    }
  }

  std::string_view pickle_;
  const std::string& place_;
  std::size_t position_ = 0;
  std::set<std::string> globals_, types_;
};

}  // namespace

PickleNames pickle_names(std::string_view pickle, const std::string& place) {
  return PickleWalk(pickle, place).run();
}

}  // namespace lora
