#include "lora/eval/chat.h"
#include "lora/eval/compare.h"
#include "lora/eval/generate.h"
#include "lora/eval/score.h"
#include "programs/run.h"

int main(int argc, char** argv) {
  const auto compare = lora::command<lora::CompareConfig>(
      "compare",
      "Measures a model, its adapters and other fine-tuned versions on the same data and prints one table.",
      {"lora-eval compare --model model.pt --data test.jsonl --variant base --variant lora=run:runs/first",
       "lora-eval compare --model model.pt --data test.jsonl --variant merged=model:merged.pt --json "
       "table.json"},
      lora::compare);
  const auto generate = lora::command<lora::GenerateConfig>(
      "generate",
      "Continues texts or answers chats, with several adapters side by side on one resident base.",
      {"lora-eval generate --model model.pt --adapter mine=runs/first/adapter --prompt \"Once upon a time\"",
       "lora-eval generate --model model.pt --adapter a=A --adapter b=B --data prompts.jsonl --json"},
      lora::generate);
  const auto chat = lora::command<lora::ChatConfig>(
      "chat", "Answers what is written to it, line by line, with the model's chat template.",
      {"lora-eval chat --model model.pt --adapter mine=runs/first/adapter",
       "lora-eval chat --model model.pt --temperature 0.7 --top-p 0.9"},
      lora::chat);
  const auto score = lora::command<lora::ScoreConfig>(
      "score", "Measures generated texts by their references, several systems side by side.",
      {"lora-eval score --predictions base.jsonl mine.jsonl --metrics e2e_bleu,nist,rouge_l_coco,cider",
       "lora-eval score --list"},
      lora::score);
  return lora::run_program("lora-eval", {chat, compare, generate, score}, argc, argv);
}
