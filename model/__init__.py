"""The trainer: finished datasets in, keyphrases out. It needs torch, but neither Beam nor OCR nor detectors."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from m3h.model.api import Predictor

# Before torch loads OpenMP: by default its idle threads spin, which made training 20 times slower on two busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def load(folder: "Path | str") -> "Predictor":
    """A finished run, ready for `predict`; see `m3h.model.api`. This call loads torch; importing the package does not.

    Raises UsageError: there is no finished run. Raises IntegrityError: a file of the run is damaged.
    """
    from m3h.model.api import load as load_run

    return load_run(folder)
