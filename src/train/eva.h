#pragma once

#include "lora/adapter/adapter.h"
#include "lora/data/batch.h"
#include "train/session.h"

namespace lora {

/// EVA (Paischer et al. 2024, arXiv:2410.07170): sets A of every linear target to the principal directions of
/// the inputs that the target sees, on the rows of the first --eva-batches updates (padding left out), and B
/// to zero. With
/// --eva-rho above 1 the common budget of ranks goes to the directions that explain most: a target may get up
/// to rho times its rank, or none, and is then left out; scales stay.
///
/// data error if there are fewer tokens than ranks.
void initialise_eva(const Session& session, const Sampler& sampler, Adapter& adapter);

}  // namespace lora
