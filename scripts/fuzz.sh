#!/usr/bin/env bash
# fuzz.sh [SECONDS] [TARGET...]: fuzzes parsers with AddressSanitizer and UndefinedBehaviorSanitizer, each for
# SECONDS (60), as many at a time as there are processors (LORA_FUZZ_JOBS). LORA_FUZZ_SEED lets runs begin alike.
# With clang (apt-get install clang) libFuzzer looks for new paths through the code and keeps what it learnt in
# build/fuzz/corpus; without, the deterministic mutations of the test `fuzz` are read. Inputs that end a parser are
# kept in build/fuzz/found, with what was said; build/fuzz/figures.jsonl says of each target how often it ran and what
# it found.
step=fuzz
source "$(dirname "$0")/common.sh"
seconds=${1:-60}
shift || true
[[ $seconds =~ ^[0-9]+$ ]] || { sed -n '2,7s/^# //p' "$0"; exit 2; }
cd "$root"
build=${LORA_FUZZ_BUILD:-$root/build/fuzz}
jobs=${LORA_FUZZ_JOBS:-$(nproc)}
has_libfuzzer() {
  command -v clang++ >&2 && clang++ -x c++ -fsanitize=fuzzer,address,undefined - -o /dev/null \
    <<< 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }'
}
if has_libfuzzer; then
  compilers=(-DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang)
else
  compilers=()
  say "no clang++ with libFuzzer and sanitizers (apt-get install clang): mutations of the seeds instead"
fi
[ -f "$build/build.ninja" ] || cmake -G Ninja -B "$build" -DLORA_FUZZ=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo "${compilers[@]}" >&2
cmake --build "$build" --target fuzzers -j "$jobs" >&2
export OMP_NUM_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1
mkdir -p "$build/found"
cd "$build/found"
"$build/bin/fuzz_driver" --write-seeds "$build/seeds"
[ $# -gt 0 ] || set -- $(ls "$build/seeds")

# fuzz TARGET: its exit code; what it says goes to TARGET.log.
fuzz() {
  if [ ${#compilers[@]} -eq 0 ]; then
    "$build/bin/fuzz_driver" --target "$1" --seconds "$seconds" --number "${LORA_FUZZ_SEED:-$RANDOM}"
    return
  fi
  mkdir -p "$build/corpus/$1"
  "$build/bin/fuzz_$1" "$build/corpus/$1" "$build/seeds/$1" -max_total_time="$seconds" -max_len=65536 -timeout=20 \
    -seed="${LORA_FUZZ_SEED:-0}" -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$1-"
}

# run TARGET: fuzzes it and leaves its figures in TARGET.json.
run() {
  local code=0 executions
  fuzz "$1" > "$1.log" 2>&1 || code=$?
  executions=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)$/\1/p; s/^.*: ([0-9]+) inputs.*$/\1/p' "$1.log" | tail -n 1)
  printf '{"target": "%s", "seconds": %d, "executions": %d, "findings": %d}\n' "$1" "$seconds" "${executions:-0}" \
    "$((code != 0))" > "$1.json"
  say "$1: ${executions:-0} inputs"
  grep -E "^(SUMMARY|artifact)|ERROR|runtime error" "$1.log" || true
}

rm -f ./*.json
for target in "$@"; do
  while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do wait -n; done
  run "$target" &
done
wait
for target in "$@"; do cat "$target.json"; done > "$build/figures.jsonl"
failed=$(sed -nE 's/^.*"target": "([^"]*)".*"findings": [1-9].*$/\1/p' "$build/figures.jsonl" | paste -sd " ")
[ -z "$failed" ] || die "$failed: see $build/found"
