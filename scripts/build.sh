#!/usr/bin/env bash
# build.sh [PRESET] [TARGET...]: builds one preset (release, debug or asan), all of it or only some targets (programs:
# the three of them without tests); programs land in build/PRESET/bin.
step=build
source "$(dirname "$0")/common.sh"
preset=${1:-release}
shift || true
case $preset in
  release|debug|asan) ;;
  -h|--help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
  *) die "unknown preset $preset (known: release, debug, asan)" ;;
esac
"$root/scripts/setup.sh"
cd "$root"
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" ${LORA_CMAKE_ARGS:-} >&2
cmake --build "build/$preset" ${1:+--target "$@"} >&2
