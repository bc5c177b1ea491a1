#!/usr/bin/env bash
# Installs everything the build needs: system packages, a virtual environment with LibTorch, SentencePiece.
# Finished steps are skipped. Options: --tests also installs the oracles of the peer tests and MPI,
# with which several processes train together.
step=setup
source "$(dirname "$0")/common.sh"

tests=
for argument in "$@"; do
  case $argument in
    --tests) tests=1 ;;
    -h|--help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) die "unknown option $argument (known: --tests)" ;;
  esac
done

packages=(g++ cmake ninja-build ccache git python3-venv python3-dev libcli11-dev nlohmann-json3-dev libspdlog-dev
          libfmt-dev catch2 libpcre2-dev libutf8proc-dev libssl-dev zlib1g-dev)

[ -z "$tests" ] || packages+=(libopenmpi-dev openmpi-bin)

install_packages() {
  command -v dpkg-query >/dev/null || { say "no dpkg here: install the equivalents of: ${packages[*]}"; return; }
  local missing=()
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null && sudo=sudo
    [ -n "$sudo" ] || [ ! -t 0 ] || ! command -v sudo >/dev/null || sudo=sudo
    [ -n "$sudo" ] || die "these packages are missing: ${missing[*]}
  Ask an administrator for: apt-get install ${missing[*]}
  then run this command again."
  fi
  say "installing system packages: ${missing[*]}"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_python() {   # install_python REQUIREMENTS STAMP
  is_done "$2" "$root/scripts/requirements.txt" "$1" && return
  [ -x "$python" ] || python3 -m venv "$venv"
  say "installing Python packages of ${1#"$root/"} into .venv (LibTorch comes with torch's wheel)"
  "$python" -m pip install --quiet --disable-pip-version-check -r "$1"
  mark_done "$2" "$root/scripts/requirements.txt" "$1"
}

build_sentencepiece() {
  local version=0.2.1 sha256=8138cec27c2f2282f4a34d9a016e3374cd40e5c6e9cb335063db66a0a3b71fad
  local prefix=$root/.deps/sentencepiece stamp=$root/.deps/sentencepiece.done
  is_done "$stamp" "$version" && return
  say "building SentencePiece $version (static)"
  local work; work=$(mktemp -d); trap 'rm -rf "$work"' RETURN
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$work" \
    --require-hashes -r <(echo "sentencepiece==$version --hash=sha256:$sha256")
  tar xf "$work"/sentencepiece-$version.tar.gz -C "$work"
  cmake -S "$work/sentencepiece-$version/sentencepiece" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DSPM_ENABLE_SHARED=OFF -DSPM_ENABLE_TCMALLOC=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DCMAKE_CXX_VISIBILITY_PRESET=hidden -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_PREFIX="$prefix" \
    ${CCACHE:+-DCMAKE_CXX_COMPILER_LAUNCHER=ccache} >/dev/null
  cmake --build "$work/build" --target sentencepiece-static >/dev/null
  mkdir -p "$prefix/lib" "$prefix/include"
  cp "$work/build/src/libsentencepiece.a" "$prefix/lib/"
  cp "$work/sentencepiece-$version/sentencepiece/src/sentencepiece_processor.h" "$prefix/include/"
  mark_done "$stamp" "$version"
}

install_packages
install_python "$root/scripts/requirements.txt" "$venv/requirements.done"
[ -z "$tests" ] || install_python "$root/tests/requirements.txt" "$venv/test-requirements.done"
build_sentencepiece
say "ready"
