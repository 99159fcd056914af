"""The lean trainer: finished shards in, keyphrases out. Knows torch, and neither Beam nor OCR nor detectors."""

import os

# Before torch loads OpenMP: its idle threads otherwise spin, and on two busy cores training was 20 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
