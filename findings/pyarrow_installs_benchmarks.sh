#!/usr/bin/env bash
# pyarrow 17.0.0 and 25.0.1 (Python 3.11), 2026-11-29
#
# Seen: the wheel of 17.0.0 puts a package `benchmarks` beside `pyarrow`, with an __init__.py. A folder `benchmarks` of
# one's own without that file is not found then, though its parent stands first on the path: a package anywhere on the
# path goes before a folder that is none. 25.0.1 has no such package.
#
# Expected: a library installs what bears its name.
#
# Why it hurts here: projects keep what they time in a folder of that name. Tests that import from it fail only where
# the lowest allowed version of pyarrow is installed, with "No module named 'benchmarks.speed'".
#
# Output seen:
#   pyarrow 17.0.0: No module named 'benchmarks.speed'
#   pyarrow 25.0.1: found
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
mkdir -p project/benchmarks
echo "SEEN = 'found'" > project/benchmarks/speed.py

expect() {
  env/bin/pip install --quiet --disable-pip-version-check --no-deps --target "pyarrow-$1" "pyarrow==$1"
  found=$(PYTHONPATH="project:pyarrow-$1" env/bin/python -c 'from benchmarks.speed import SEEN; print(SEEN)' 2>&1 | tail -n 1)
  found=${found#ModuleNotFoundError: }
  if [ "$found" != "$2" ]; then
    echo "changed: with pyarrow $1: $found" >&2
    exit 1
  fi
  echo "pyarrow $1: $found"
}
expect 17.0.0 "No module named 'benchmarks.speed'"
expect 25.0.1 "found"
