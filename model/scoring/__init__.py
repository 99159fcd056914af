"""Metrics, files of predictions, and the comparison of two runs."""
