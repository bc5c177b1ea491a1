# Shared by the scripts; sourced, not run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
python=$venv/bin/python

say() { printf '\033[1m[%s]\033[0m %s\n' "${step:-lora}" "$*" >&2; }
die() { printf '[%s] error: %s\n' "${step:-lora}" "$*" >&2; exit 1; }

# is_done STAMP INPUT...: true if STAMP holds the hash of the inputs (files, or plain words).
fingerprint() { for item in "$@"; do if [ -f "$item" ]; then cat "$item"; else printf '%s' "$item"; fi; done | sha256sum | cut -d' ' -f1; }
is_done() { local stamp=$1; shift; [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint "$@")" ]; }
mark_done() { local stamp=$1; shift; mkdir -p "$(dirname "$stamp")"; fingerprint "$@" > "$stamp"; }
