#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace lora {

/// Process exit codes; every error a user can cause maps to one of them.
enum class ExitCode : int {
  ok = 0,
  usage = 2,      ///< wrong flag, config key or value
  data = 3,       ///< a data row or data file is bad
  file = 4,       ///< a model, adapter or tokenizer file is damaged or foreign
  mismatch = 5,   ///< two good things do not belong together (adapter and base, tokenizer, resume)
  io = 6,         ///< the file system refused
  memory = 7,     ///< not enough memory
  diverged = 8,   ///< training produced non-finite or senseless numbers
  untrusted = 9,  ///< a model file with code that was not trusted
  locked = 10,    ///< another process works in the folder
  internal = 70,  ///< a defect of this project
  stopped = 75,   ///< ended by a signal, resumable
};

/// An error with its exit code. `message` says what, where, found and expected; `hint` says what to do.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message, std::string hint = {})
      : std::runtime_error(message), code_(code), hint_(std::move(hint)) {}

  ExitCode code() const { return code_; }
  const std::string& hint() const { return hint_; }

 private:
  ExitCode code_;
  std::string hint_;
};

}  // namespace lora
