#include "lora/base/stop.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "base/temporary_name.h"
#include "lora/base/error.h"
#include "lora/base/process.h"

namespace lora {
namespace {

volatile std::sig_atomic_t stop_flag = 0, save_flag = 0;
std::atomic<double> stop_seconds = 0;

void install(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // reads and writes go on
  sigaction(signal, &action, nullptr);
}

void end_now(int) {
  constexpr char kMessage[] = "stopped by a signal\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  remove_temporaries();
  ::_exit(static_cast<int>(ExitCode::stopped));
}

void ask_to_stop(int signal) {
  stop_flag = 1;
  install(signal, end_now);
}

void ask_to_save(int) { save_flag = 1; }

}  // namespace

void end_on_signals() {
  install(SIGINT, end_now);
  install(SIGTERM, end_now);
  install(SIGUSR1, ask_to_save);
}

void watch_signals() {
  install(SIGINT, ask_to_stop);
  install(SIGTERM, ask_to_stop);
  install(SIGUSR1, ask_to_save);
}

bool stop_requested() {
  const double limit = stop_seconds;
  return stop_flag != 0 || (limit > 0 && process_seconds() >= limit);
}

void request_stop() { stop_flag = 1; }

void stop_after(double seconds) { stop_seconds = seconds; }

bool take_save_request() {
  const bool requested = save_flag != 0;
  save_flag = 0;
  return requested;
}

void throw_if_stopped() {
  if (stop_requested()) throw Error(ExitCode::stopped, "stopped by a signal");
}

}  // namespace lora
