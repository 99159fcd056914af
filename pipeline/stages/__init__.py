"""Beam stages, one PTransform a file. A stage wires; what it decides is a plain function beside it."""
