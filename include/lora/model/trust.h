#pragma once

namespace lora {

/// Lets this process load every model file that it is asked for, whatever its code does (--trust-model). To
/// be called before the first is loaded, by programs alone.
void trust_every_model();

}  // namespace lora
