#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/process.h"
#include "lora/base/stop.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

namespace {

/// How `action` ends in a child process, as waitpid tells.
template <class Action>
int status_of(Action action) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(action());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

int watch_and_raise(int signals) {
  lora::watch_signals();
  for (int i = 0; i < signals; ++i) std::raise(SIGTERM);
  try {
    lora::throw_if_stopped();
  } catch (const lora::Error& error) {
    return static_cast<int>(error.code());
  }
  return 0;
}

}  // namespace

TEST_CASE("stop: the first signal asks, the second ends the process") {
  CHECK(WEXITSTATUS(status_of([] { return watch_and_raise(0); })) == 0);
  CHECK(WEXITSTATUS(status_of([] { return watch_and_raise(1); })) == 75);
  CHECK(WEXITSTATUS(status_of([] { return watch_and_raise(2); })) == 75);
}

TEST_CASE("stop: from a moment on a stop is requested, and without one no more") {
  lora::stop_after(lora::process_seconds() + 1000);
  CHECK_FALSE(lora::stop_requested());
  lora::stop_after(1e-9);
  CHECK(lora::stop_requested());
  CHECK_THROWS_AS(lora::throw_if_stopped(), lora::Error);
  lora::stop_after(0);
  CHECK_FALSE(lora::stop_requested());
}

TEST_CASE("stop: SIGUSR1 is one request to save") {
  lora::watch_signals();
  CHECK_FALSE(lora::take_save_request());
  std::raise(SIGUSR1);
  CHECK(lora::take_save_request());
  CHECK_FALSE(lora::take_save_request());
  CHECK_FALSE(lora::stop_requested());
}

TEST_CASE("stop: where nothing can be saved the first signal ends the process, without temporary files") {
  const lora::test::TemporaryFolder folder;
  lora::write_file_atomically(folder / "a", "old");
  for (const int signal : {SIGINT, SIGTERM}) {
    const int status = status_of([&] {
      lora::end_on_signals();
      {
        const lora::PendingFile earlier(folder / "b");
      }
      lora::PendingFile first(folder / "a"), second(folder / "c");
      first.write("new");
      std::raise(SIGUSR1);
      std::raise(signal);
      return 0;
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 75);
    CHECK(lora::read_file(folder / "a") == "old");
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  }
}
