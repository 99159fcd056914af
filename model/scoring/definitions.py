"""The names of the definitions of the scores; `m3h.model.scoring.metrics` computes them."""

DEFINITIONS = ("cmkp", "per-post", "fixed-k", "aimkp")
DEFINITION = "cmkp"
"""What training, tables and figures use."""

MEANS_OF_POSTS = ("per-post", "aimkp")
"""Those whose F1 is the mean of each post's own; that of the others is the harmonic mean of two means."""
