#include "lora/config/option.h"

#include "config/values.h"
#include "lora/base/text.h"

namespace lora {

NumberRule at_least(double low) {
  return {[low](double value) { return value >= low; }, cat("at least ", number_text(low))};
}

NumberRule above(double low) {
  return {[low](double value) { return value > low; }, cat("above ", number_text(low))};
}

NumberRule between(double low, double high) {
  return {[low, high](double value) { return value >= low && value <= high; },
          cat("between ", number_text(low), " and ", number_text(high))};
}

}  // namespace lora
