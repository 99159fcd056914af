"""The lean trainer: finished shards in, keyphrases out. Knows torch, and neither Beam nor OCR nor detectors."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from model.api import Predictor

# Before torch loads OpenMP: its idle threads otherwise spin, and on two busy cores training was 20 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def load(folder: "Path | str") -> "Predictor":
    """A finished run, ready for `predict`; see `model.api`. Torch is loaded by this call, not by importing us."""
    from model.api import load as load_run

    return load_run(folder)
