#pragma once

#include <cstddef>

#include "lora/base/error.h"

namespace lora {

/// Makes full disks, closed pipes and closed descriptors errors of the write concerned: SIGPIPE and SIGXFSZ
/// are ignored, and descriptors 0 to 2 are occupied, so that no model file is opened as stdout.
void guard_standard_streams();

/// Flushes stdout. io error if anything written to it was lost; only the code `io` if the reader of a pipe
/// went away, as `head` does.
ExitCode finish_results();

/// Columns for help: COLUMNS, else the terminal's, else 80; between 80 and 100.
std::size_t text_columns();

}  // namespace lora
