#!/usr/bin/env bash
# The main job from nothing: set up, build, fetch a real model (SmolLM2-135M-Instruct) and real data (movie reviews),
# train a LoRA adapter, bake it, fine-tune fully for comparison, and print the table. Finished steps are skipped.
# Everything lands in .venv, .deps, build, models, data and runs below the project.
step=quickstart
source "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] && [ "${1:-}" != -h ] || { sed -n '2,4s/^# //p' "$0"; exit 0; }
cd "$root"

model=models/smollm2-135m-instruct.pt
data=data/reviews
runs=runs/quickstart
bin=build/release/bin
seconds_before=$SECONDS

"$root/scripts/build.sh" release programs
say "model: SmolLM2-135M-Instruct"
"$python" scripts/fetch_model.py smollm2-135m-instruct --out "$model"
say "data: movie review sentences"
"$python" scripts/fetch_reviews.py --out "$data"

# once STAMP INPUT... -- COMMAND...: runs COMMAND unless STAMP says that it finished with the same inputs.
once() {
  local stamp=$1 inputs=(); shift
  while [ "$1" != -- ]; do inputs+=("$1"); shift; done; shift
  if is_done "$stamp" "${inputs[@]}" "$*"; then say "already done: $*"; return; fi
  say "$*"
  "$@"
  mark_done "$stamp" "${inputs[@]}" "$*"
}

identity=("$(sha256sum "$model" | cut -d' ' -f1)" "$data/train.jsonl" "$data/valid.jsonl" "$data/test.jsonl")
common=(--model "$model" --data "$data/train.jsonl" --valid "$data/valid.jsonl" --overwrite)

once $runs/lora.done "${identity[@]}" configs/quickstart-lora.json -- \
  $bin/lora-train --config configs/quickstart-lora.json "${common[@]}" --out $runs/lora
once $runs/merged.done "$runs/lora/adapter/adapter_model.safetensors" -- \
  $bin/lora-merge bake --model "$model" --adapter $runs/lora/adapter --out $runs/merged.pt --overwrite
once $runs/full.done "${identity[@]}" configs/quickstart-full.json -- \
  $bin/lora-train --config configs/quickstart-full.json "${common[@]}" --out $runs/full
once $runs/compare.done "${identity[@]}" "$(cat $runs/*/report.json)" -- \
  $bin/lora-eval compare --model "$model" --data "$data/test.jsonl" --variant base --variant lora=run:$runs/lora \
    --variant merged=model:$runs/merged.pt --variant full=run:$runs/full --json $runs/compare.json \
    --report $runs/report.html
"$python" scripts/show_table.py $runs/compare.json
say "done in $((SECONDS - seconds_before)) s; adapter: $runs/lora/adapter, report: $runs/report.html"
