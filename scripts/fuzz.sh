#!/usr/bin/env bash
# fuzz.sh [SECONDS] [TARGET...]: fuzzes parsers with AddressSanitizer and UndefinedBehaviorSanitizer, each for SECONDS (60).
# With clang (apt-get install clang) libFuzzer looks for new paths through the code and keeps what it learnt in
# build/fuzz/corpus; without, the deterministic mutations of the test `fuzz` are read. Inputs that end a parser are kept in
# build/fuzz/found, with what was said; build/fuzz/figures.jsonl says of each target how often it ran and what it found.
step=fuzz
source "$(dirname "$0")/common.sh"
seconds=${1:-60}
shift || true
[[ $seconds =~ ^[0-9]+$ ]] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
cd "$root"
build=${LORA_FUZZ_BUILD:-$root/build/fuzz}
has_libfuzzer() {
  command -v clang++ >&2 && echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' \
    | clang++ -x c++ -fsanitize=fuzzer,address,undefined - -o /dev/null
}
if has_libfuzzer; then
  compilers=(-DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang)
else
  compilers=()
  say "no clang++ with libFuzzer and sanitizers (apt-get install clang): mutations of the seeds instead"
fi
[ -f "$build/build.ninja" ] || cmake -G Ninja -B "$build" -DLORA_FUZZ=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo "${compilers[@]}" >&2
cmake --build "$build" --target fuzzers ${LORA_FUZZ_JOBS:+-j "$LORA_FUZZ_JOBS"} >&2
export OMP_NUM_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1
mkdir -p "$build/found"
cd "$build/found"
"$build/bin/fuzz_driver" --write-seeds "$build/seeds"
[ $# -gt 0 ] || set -- $(ls "$build/seeds")

# fuzz TARGET: its exit code; what it says goes to TARGET.log.
fuzz() {
  if [ ${#compilers[@]} -eq 0 ]; then
    "$build/bin/fuzz_driver" --target "$1" --seconds "$seconds" --number "$RANDOM"
    return
  fi
  mkdir -p "$build/corpus/$1"
  "$build/bin/fuzz_$1" "$build/corpus/$1" "$build/seeds/$1" -max_total_time="$seconds" -max_len=65536 -timeout=20 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$1-"
}

: > "$build/figures.jsonl"
failed=()
for target in "$@"; do
  say "$target"
  code=0
  fuzz "$target" > "$target.log" 2>&1 || code=$?
  grep -E "^(stat::|SUMMARY|artifact)|ERROR|runtime error|inputs" "$target.log" || true
  executions=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)$/\1/p; s/^.*: ([0-9]+) inputs.*$/\1/p' "$target.log" | tail -n 1)
  printf '{"target": "%s", "seconds": %d, "executions": %d, "findings": %d}\n' "$target" "$seconds" "${executions:-0}" \
    "$((code != 0))" >> "$build/figures.jsonl"
  [ "$code" -eq 0 ] || failed+=("$target")
done
[ ${#failed[@]} -eq 0 ] || die "${failed[*]}: see $build/found"
