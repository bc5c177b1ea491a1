#include "eval/metrics/estimate.h"

#include "lora/base/text.h"

namespace lora {

Estimate estimate(const std::vector<Statistics>& rows, const std::vector<Statistics>* baseline,
                  const ValueOfSum& value, int samples) {
  Estimate estimate{value(sum_of(rows)), {}, {}};
  if (samples == 0) return estimate;
  estimate.interval = bootstrap_interval(rows, value, samples);
  if (baseline) estimate.p_value = paired_p_value(*baseline, rows, value, samples);
  return estimate;
}

std::string estimate_text(const Estimate& estimate, int digits) {
  std::string text = fixed(estimate.value, digits);
  if (estimate.interval)
    text +=
        cat(" [", fixed(estimate.interval->low, digits), ", ", fixed(estimate.interval->high, digits), "]");
  if (estimate.p_value) text += cat(" p ", fixed(*estimate.p_value, 3));
  return text;
}

Json estimate_json(const Estimate& estimate) {
  Json json = {{"value", estimate.value}};
  if (estimate.interval) json["interval"] = {estimate.interval->low, estimate.interval->high};
  if (estimate.p_value) json["p_value"] = *estimate.p_value;
  return json;
}

}  // namespace lora
