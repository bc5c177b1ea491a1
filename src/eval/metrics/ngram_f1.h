#pragma once

#include <cstddef>

#include "eval/metrics/words.h"

namespace lora {

/// F1 of the n-grams of one length that two texts have in common; 0 if neither has any.
double ngram_f1(const Words& prediction, const Words& reference, std::size_t length);

/// Harmonic mean of common / predicted and common / expected; 0 if both are empty.
double f1(double common, double predicted, double expected);

}  // namespace lora
