#!/usr/bin/env bash
# fuzz.sh [SECONDS] [TARGET...]: fuzzes parsers with AddressSanitizer and UndefinedBehaviorSanitizer, each for SECONDS (60).
# With clang libFuzzer looks for new paths through the code and keeps what it learnt in build/fuzz/corpus; without, the
# deterministic mutations of the test `fuzz` are read. Inputs that end a parser are kept in build/fuzz/found.
step=fuzz
source "$(dirname "$0")/common.sh"
seconds=${1:-60}
shift || true
[[ $seconds =~ ^[0-9]+$ ]] || { sed -n '2,4s/^# //p' "$0"; exit 2; }
cd "$root"
build=$root/build/fuzz
clang=$(command -v clang++ || true)
if [ ! -f "$build/build.ninja" ]; then
  cmake -G Ninja -B "$build" -DLORA_FUZZ=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo ${clang:+-DCMAKE_CXX_COMPILER=clang++} \
    ${clang:+-DCMAKE_C_COMPILER=clang} >&2
fi
cmake --build "$build" --target fuzzers >&2
export OMP_NUM_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1
mkdir -p "$build/found"
cd "$build/found"
"$build/bin/fuzz_driver" --write-seeds "$build/seeds"
[ $# -gt 0 ] || set -- $(ls "$build/seeds")
failed=()
for target in "$@"; do
  say "$target"
  mkdir -p "$build/corpus/$target"
  if [ -n "$clang" ]; then
    "$build/bin/fuzz_$target" "$build/corpus/$target" "$build/seeds/$target" -max_total_time="$seconds" -max_len=65536 \
      -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$target-" 2>&1 \
      | grep -E "^(stat::|==|SUMMARY|artifact|.*ERROR)|runtime error" || true
    [ "${PIPESTATUS[0]}" -eq 0 ] || failed+=("$target")
  else
    "$build/bin/fuzz_driver" --target "$target" --seconds "$seconds" --number "$RANDOM" || failed+=("$target")
  fi
done
[ ${#failed[@]} -eq 0 ] || die "${failed[*]}: see build/fuzz/found"
