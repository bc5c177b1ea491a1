#include "lora/eval/compare.h"
#include "programs/run.h"

int main(int argc, char** argv) {
  const auto compare = lora::command<lora::CompareConfig>(
      "compare",
      "Measures a model, its adapters and other fine-tuned versions on the same data and prints one table.",
      {"lora-eval compare --model model.pt --data test.jsonl --variant base --variant lora=run:runs/first",
       "lora-eval compare --model model.pt --data test.jsonl --variant merged=model:merged.pt --json "
       "table.json"},
      lora::compare);
  return lora::run_program("lora-eval", {compare}, argc, argv);
}
