#include "programs/standard_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace lora {
namespace {

constexpr int kFewestColumns = 80, kMostColumns = 100;

int raw_columns() {
  if (const char* columns = std::getenv("COLUMNS")) return std::atoi(columns);
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kFewestColumns;
}

/// True if stdout is a pipe that nobody reads any more.
bool reader_left() {
  pollfd state{STDOUT_FILENO, 0, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & POLLERR) != 0;
}

}  // namespace

void guard_standard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  for (int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1) continue;
    // open() takes the lowest free number. The wrong direction keeps reads and writes failing.
    [[maybe_unused]] const int opened = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

ExitCode finish_results() {
  std::cout.flush();
  if (std::cout && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return ExitCode::ok;
  if (reader_left()) return ExitCode::io;
  throw Error(ExitCode::io, "the results could not be written to stdout",
              "is it closed, or its disk full? files that were named on the command line are complete");
}

std::size_t text_columns() {
  return static_cast<std::size_t>(std::clamp(raw_columns(), kFewestColumns, kMostColumns));
}

}  // namespace lora
