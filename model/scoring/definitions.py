"""The names of the three definitions of the scores; `m3h.model.scoring.metrics` computes them."""

DEFINITIONS = ("cmkp", "per-post", "fixed-k")
DEFINITION = "cmkp"
"""What training, tables and figures use."""
