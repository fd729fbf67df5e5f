#!/usr/bin/env bash
# Set up Tesuji on a bare machine with a GPU (a pod, a cloud VM): an environment in ~/tesuji-venv,
# with the versions that Tesuji is tested with, and a look at what is there.
#
#   bash scripts/setup_gpu.sh                    # from a checkout
#   bash scripts/setup_gpu.sh --vllm             # and vLLM in ~/vllm-venv, for sampling.engine_python
#   bash scripts/setup_gpu.sh --extras deepspeed,textarena --into /workspace/venv
set -euo pipefail

into="$HOME/tesuji-venv" extras="deepspeed,textarena,wordle" vllm=""
while [ $# -gt 0 ]; do
  case "$1" in
    --into) into="$2"; shift 2 ;;
    --extras) extras="$2"; shift 2 ;;
    --vllm) vllm=1; shift ;;
    -h|--help) sed -n '2,8p' "$0" | cut -c3-; exit 0 ;;
    *) echo "setup_gpu.sh: unknown option $1 (--into DIR, --extras a,b, --vllm)" >&2; exit 2 ;;
  esac
done
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

find_python() {  # the newest Python that is not older than 3.11
  for name in python3.13 python3.12 python3.11 python3; do
    if command -v "$name" > /dev/null && "$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
      command -v "$name"; return
    fi
  done
  echo "setup_gpu.sh: Tesuji needs Python 3.11 or newer with venv: apt-get install python3.11 python3.11-venv" >&2
  exit 2
}

command -v nvidia-smi > /dev/null || echo "beware: no nvidia-smi here, so no NVIDIA GPU will be used"
python="$(find_python)"
echo "== $("$python" -V) → $into"
[ -x "$into/bin/python" ] || "$python" -m venv "$into"
"$into/bin/python" -m pip install --disable-pip-version-check -q -c "$here/constraints.txt" "$here[$extras]"
if [ -n "$vllm" ]; then
  echo "== vLLM → $HOME/vllm-venv (it pins other versions, so it has an environment of its own)"
  [ -x "$HOME/vllm-venv/bin/python" ] || "$python" -m venv "$HOME/vllm-venv"
  "$HOME/vllm-venv/bin/python" -m pip install --disable-pip-version-check -q vllm
  echo "   in recipes: sampling: {engine: vllm, engine_python: $HOME/vllm-venv/bin/python}"
fi
"$into/bin/tesuji" doctor --for gpu || true
echo "== ready: source $into/bin/activate && tesuji run tictactoe/tiny"
