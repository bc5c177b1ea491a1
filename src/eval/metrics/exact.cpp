#include "eval/metrics/exact.h"

#include "eval/metrics/ngram_f1.h"

namespace lora {

double TokenF1::pair_score(const Words& prediction, const Words& reference) const {
  if (prediction.empty() && reference.empty()) return 1;
  return ngram_f1(prediction, reference, 1);
}

}  // namespace lora
