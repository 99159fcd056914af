#!/usr/bin/env bash
# torch 2.12.1 (CPU), Python 3.11, two processes of torchrun with the backend gloo, 2026-11-29
#
# Seen: `destroy_process_group` ends the threads of Gloo (`pt_gloo_runloop`) after collectives, but not after a
# DistributedDataParallel was made: its two threads go on, although the module was deleted, garbage was collected and no
# Python object refers to the group. They live until the process ends.
#
# Expected: what PyTorch's documentation advises, to call `destroy_process_group` at the end, leaves nothing behind.
#
# Why it hurts here: a thread that lets go of its last tensor while Python ends needs the interpreter, and the process
# is aborted (SIGABRT). It is rare, and seen on a busy machine only: a training that wrote all its files and scores
# ended with exit code -6, and torchrun called it failed.
#
# Output seen:
#   a collective alone: 0 threads left; DistributedDataParallel: 2 threads left
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torch==2.12.1 numpy==2.2.6

cat > threads.py <<'END'
import gc
import os
import sys
from pathlib import Path

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

distributed.init_process_group("gloo")
distributed.all_reduce(torch.ones(1))
if sys.argv[1] == "parallel":
    module = DistributedDataParallel(torch.nn.Linear(2, 2))
    del module
gc.collect()
distributed.destroy_process_group()
gc.collect()
names = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
if os.environ["RANK"] == "0":
    print(sum(name.startswith("pt_gloo") for name in names))
END
run() { env/bin/python -m torch.distributed.run --standalone --nproc-per-node 2 threads.py "$1" 2> errors; }
alone=$(run alone)
parallel=$(run parallel)
echo "a collective alone: $alone threads left; DistributedDataParallel: $parallel threads left"
if [ "$alone" != 0 ] || [ "$parallel" = 0 ]; then
    echo "changed: which threads of Gloo outlive destroy_process_group" >&2
    exit 1
fi
