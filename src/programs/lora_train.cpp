#include "lora/train/train.h"
#include "programs/run.h"

int main(int argc, char** argv) {
  const auto train = lora::command<lora::TrainConfig>(
      "",
      "Fine-tunes a TorchScript transformer on JSON data: low-rank updates (LoRA) for chosen projections, or "
      "every "
      "weight. Writes a run folder with the trained adapter.",
      {"lora-train --model model.pt --data train.jsonl --valid valid.jsonl --out runs/first",
       "lora-train --model model.pt --list-targets",
       "lora-train --model model.pt --data train.jsonl --dry-run"},
      lora::train);
  return lora::run_program("lora-train", {train}, argc, argv);
}
