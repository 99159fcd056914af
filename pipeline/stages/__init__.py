"""Beam stages, one PTransform in each file. A stage only connects; decisions are plain functions of other rooms."""
