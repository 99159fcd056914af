#!/usr/bin/env bash
# torch 2.12.1 (wheel of PyPI, with Intel's MKL), NumPy 2.2.6, Python 3.11, Linux on two cores, 2026-12-01
#
# Seen: with OMP_THREAD_LIMIT=1 in the environment and torch.set_num_threads(2), a matrix with compressed rows (CSR) times
# a dense one is right in its first half and zero in its second. No error, no warning. With coordinates (COO), with one
# thread, or without the limit, the same product is right.
#
# Expected: the product; a limit of threads is about time. Dense products of torch are right under it.
#
# Why it hurts here: whoever runs Tesseract in many processes sets OMP_THREAD_LIMIT=1, as its authors advise, often for
# the whole container. A bag of words or a graph that torch multiplies beside it loses half of its rows.
#
# Output seen:
#   coordinates, 2 threads: 100 of 100 rows right
#   compressed rows, 1 thread: 100 of 100 rows right
#   compressed rows, 2 threads: 50 of 100 rows right, the rest zeros True
#   the same without a limit: 100 of 100 rows right
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torch==2.12.1 numpy==2.2.6
cat > run.py <<'END'
import sys
import warnings

import torch

warnings.simplefilter("ignore")
torch.manual_seed(0)
sparse = torch.rand(100, 80) * (torch.rand(100, 80) < 0.2) + torch.eye(100, 80)
dense = torch.rand(80, 64)
wanted = (sparse.double() @ dense.double()).float()


def told(name, matrix, threads):
    torch.set_num_threads(threads)
    found = matrix @ dense
    right = ((found - wanted).abs() < 1e-4).all(1)
    rest = "" if bool(right.all()) else f", the rest zeros {not found[~right].any()}"
    print(f"{name}: {int(right.sum())} of {len(right)} rows right{rest}")


if sys.argv[1:] == ["free"]:
    told("the same without a limit", sparse.to_sparse_csr(), 2)
else:
    told("coordinates, 2 threads", sparse.to_sparse_coo(), 2)
    told("compressed rows, 1 thread", sparse.to_sparse_csr(), 1)
    told("compressed rows, 2 threads", sparse.to_sparse_csr(), 2)
END
{ OMP_THREAD_LIMIT=1 env/bin/python run.py; env -u OMP_THREAD_LIMIT env/bin/python run.py free; } | tee seen.txt
cat > wanted.txt <<'END'
coordinates, 2 threads: 100 of 100 rows right
compressed rows, 1 thread: 100 of 100 rows right
compressed rows, 2 threads: 50 of 100 rows right, the rest zeros True
the same without a limit: 100 of 100 rows right
END
if ! cmp --silent seen.txt wanted.txt; then
    echo "changed: what a product of compressed rows is under a limit of threads" >&2
    exit 1
fi
