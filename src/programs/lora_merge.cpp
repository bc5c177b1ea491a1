#include "lora/merge/bake.h"
#include "lora/merge/inspect.h"
#include "programs/run.h"

int main(int argc, char** argv) {
  const auto bake = lora::command<lora::BakeConfig>(
      "bake", "Adds an adapter to the weights of its base model and writes a model that needs no adapter.",
      {"lora-merge bake --model model.pt --adapter runs/first/adapter --out merged.pt"}, lora::bake);
  const auto inspect = lora::command<lora::InspectConfig>(
      "inspect", "Shows what an adapter folder contains, what it was trained on, and whether it is sound.",
      {"lora-merge inspect runs/first/adapter"}, lora::inspect);
  return lora::run_program("lora-merge", {bake, inspect}, argc, argv);
}
