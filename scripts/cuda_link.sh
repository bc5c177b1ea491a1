#!/usr/bin/env bash
# cuda_link.sh [VERSION]: compiles and links the programs against the LibTorch of torch's CUDA wheel (default: the version of
# scripts/requirements.txt), which is fetched without its CUDA libraries: neither a GPU nor a CUDA toolkit is needed, and the
# programs cannot be run. Each must ask for torch_cuda in the end.
step=cuda
source "$(dirname "$0")/common.sh"
case ${1:-} in -h|--help) sed -n '2,4s/^# //p' "$0"; exit 0 ;; esac
version=${1:-$(sed -n 's/^torch==//p' "$root/scripts/requirements.txt")}
"$root/scripts/setup.sh"
build=$root/build/cuda
torch=$build/wheel-$version/torch
if [ ! -d "$torch" ]; then
  say "fetching torch $version"
  "$python" -m pip download --quiet --no-deps --dest "$build/download" "torch==$version" >&2
  wheel=$(ls -t "$build/download"/torch-"$version"*.whl | head -n 1)
  "$python" -m zipfile -e "$wheel" "$build/wheel-$version" >&2
  rm -r "$build/download"
fi
[ -f "$torch/lib/libtorch_cuda.so" ] || { rm -r "$build/wheel-$version"; \
  die "torch $version of this package index has no CUDA: give the version of a CUDA wheel, or set PIP_INDEX_URL"; }
cmake -G Ninja -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DLORA_LIBTORCH="$torch" >&2
cmake --build "$build" --target programs >&2
for program in lora-train lora-merge lora-eval; do
  needed=$(readelf -d "$build/bin/$program")
  for library in libtorch_cuda.so libc10_cuda.so; do
    grep -q "NEEDED.*$library" <<< "$needed" || die "$program does not ask for $library"
  done
  say "$program is linked with torch_cuda of torch $version"
done
