#!/usr/bin/env bash
# Configures and builds one preset (release, debug or asan); programs land in build/PRESET/bin.
step=build
source "$(dirname "$0")/common.sh"
preset=${1:-release}
case $preset in
  release|debug|asan) ;;
  -h|--help) sed -n '2s/^# //p' "$0"; exit 0 ;;
  *) die "unknown preset $preset (known: release, debug, asan)" ;;
esac
"$root/scripts/setup.sh"
cd "$root"
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" ${LORA_CMAKE_ARGS:-} >&2
cmake --build "build/$preset" >&2
