#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "lora/base/error.h"
#include "lora/base/stop.h"
#include "support/catch.h"

namespace {

/// How a child ends that watches signals, sends itself some and then looks.
int status_of_child(int signals) {
  const pid_t child = ::fork();
  if (child == 0) {
    lora::watch_signals();
    for (int i = 0; i < signals; ++i) std::raise(SIGTERM);
    try {
      lora::throw_if_stopped();
    } catch (const lora::Error& error) {
      ::_exit(static_cast<int>(error.code()));
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("stop: the first signal asks, the second ends the process") {
  CHECK(WEXITSTATUS(status_of_child(0)) == 0);
  CHECK(WEXITSTATUS(status_of_child(1)) == 75);
  const int status = status_of_child(2);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE("stop: SIGUSR1 is one request to save") {
  lora::watch_signals();
  CHECK_FALSE(lora::take_save_request());
  std::raise(SIGUSR1);
  CHECK(lora::take_save_request());
  CHECK_FALSE(lora::take_save_request());
  CHECK_FALSE(lora::stop_requested());
}
