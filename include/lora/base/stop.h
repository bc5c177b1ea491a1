#pragma once

namespace lora {

/// From now on SIGINT and SIGTERM ask the process to stop, and SIGUSR1 asks it to save: handlers only set
/// flags, which long loops look at. A second SIGINT or SIGTERM ends the process at once.
void watch_signals();

/// True after SIGINT or SIGTERM, or request_stop().
bool stop_requested();
void request_stop();

/// True once after each SIGUSR1.
bool take_save_request();

/// For loops that have nothing to save: `stopped` error after a request to stop.
void throw_if_stopped();

}  // namespace lora
