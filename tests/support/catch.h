#pragma once

// The Catch2 of this system: 2.13 on Debian 12 (one header), 3 elsewhere.
#ifdef LORA_CATCH3
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
