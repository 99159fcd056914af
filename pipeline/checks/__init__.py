"""Checks of a dataset and of this machine: verify, repair, stats, doctor."""
