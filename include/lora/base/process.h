#pragma once

#include <cstdint>
#include <exception>
#include <string>

namespace lora {

/// Seconds since an arbitrary fixed moment, monotonic.
double monotonic_seconds();
/// Seconds since this process began to run.
double process_seconds();
/// UTC now as 2026-01-31T12:00:00Z.
std::string utc_timestamp();

/// Resident memory of this process now and at its highest (VmRSS, VmHWM); 0 where unknown.
std::uint64_t resident_bytes();
std::uint64_t peak_resident_bytes();
/// Forgets the peak so far (writes 5 to /proc/self/clear_refs); false where not possible.
bool reset_peak_resident();
/// Memory that new allocations could get without swapping (MemAvailable, cgroup limit); 0 if unknown.
std::uint64_t available_bytes();

/// "Intel(R) Xeon(R) ... (2 cores)".
std::string cpu_name();
/// Cores that this process may use.
int usable_cores();

bool stderr_is_terminal();
bool stdout_is_terminal();

/// True if the exception says that memory ran out: std::bad_alloc, our own, or LibTorch's, which has no type
/// for it on the CPU.
bool is_out_of_memory(const std::exception& error);

}  // namespace lora
