#pragma once

namespace lora {

/// From now on SIGINT and SIGTERM end the process at once with `stopped`, and leave no temporary file;
/// SIGUSR1 does no harm. For work that has nothing to save.
void end_on_signals();

/// From now on SIGINT and SIGTERM ask the process to stop, and SIGUSR1 asks it to save: handlers only set
/// flags, which long loops look at. A second SIGINT or SIGTERM ends as after end_on_signals().
void watch_signals();

/// True after SIGINT or SIGTERM, request_stop(), or the time of stop_after().
bool stop_requested();
void request_stop();

/// Sets the process_seconds() from which on a stop is requested; 0: none, as at the start.
void stop_after(double seconds);

/// True once after each SIGUSR1.
bool take_save_request();

/// For loops that have nothing to save: `stopped` error after a request to stop.
void throw_if_stopped();

}  // namespace lora
