#include "lora/merge/bake.h"
#include "lora/merge/combine.h"
#include "lora/merge/convert.h"
#include "lora/merge/diff.h"
#include "lora/merge/extract.h"
#include "lora/merge/inspect.h"
#include "lora/merge/resize.h"
#include "lora/merge/restore.h"
#include "lora/merge/verify.h"
#include "programs/run.h"

int main(int argc, char** argv) {
  const auto bake = lora::command<lora::BakeConfig>(
      "bake", "Adds an adapter to the weights of its base model and writes a model that needs no adapter.",
      {"lora-merge bake --model model.pt --adapter runs/first/adapter --out merged.pt",
       "lora-merge bake --model model.pt --adapter a:1.0 b:0.5 --hf SmolLM2-135M --out merged --undo "
       "merged.undo"},
      lora::bake);
  const auto combine = lora::command<lora::CombineConfig>(
      "combine", "Makes one adapter of several: weighted sum, average, TIES or DARE of their updates.",
      {"lora-merge combine runs/first/adapter runs/second/adapter:-0.5 --out both",
       "lora-merge combine a b c --method ties --density 0.2 --rank 32 --out merged"},
      lora::combine);
  const auto convert = lora::command<lora::ConvertConfig>(
      "convert", "Writes an adapter in another tool's format: PEFT, mlx-lm, GGUF for llama.cpp, loralib.",
      {"lora-merge convert runs/first/adapter --to gguf --base-config SmolLM2-135M/config.json --out "
       "adapter.gguf",
       "lora-merge convert adapter.pt --rank 4 --alpha 32 --mask 101 --to peft --out adapter"},
      lora::convert);
  const auto diff =
      lora::command<lora::DiffConfig>("diff", "Shows how far two adapters' updates point the same way.",
                                      {"lora-merge diff runs/rank8/adapter runs/rank64/adapter"}, lora::diff);
  const auto extract = lora::command<lora::ExtractConfig>(
      "extract", "Makes a LoRA of the difference between a fully fine-tuned model and its base.",
      {"lora-merge extract --base model.pt --tuned runs/full/model.pt --rank 16 --out adapter"},
      lora::extract);
  const auto inspect = lora::command<lora::InspectConfig>(
      "inspect", "Shows what an adapter folder contains, what it was trained on, and whether it is sound.",
      {"lora-merge inspect runs/first/adapter",
       "lora-merge inspect runs/first/adapter --base model.pt --intruders"},
      lora::inspect);
  const auto resize = lora::command<lora::ResizeConfig>(
      "resize", "Writes an adapter with another rank, and prints the error.",
      {"lora-merge resize runs/first/adapter --rank 4 --out small"}, lora::resize);
  const auto restore = lora::command<lora::RestoreConfig>(
      "restore", "Takes a merge back: writes the base again, bit by bit.",
      {"lora-merge restore merged.pt --undo merged.undo --out base.pt"}, lora::restore);
  const auto verify = lora::command<lora::VerifyConfig>(
      "verify", "Checks adapters: structure, hash, values, and with a base fit and merged logits.",
      {"lora-merge verify runs/first/adapter --model model.pt"}, lora::verify);
  return lora::run_program(
      "lora-merge", {bake, combine, convert, diff, extract, inspect, resize, restore, verify}, argc, argv);
}
