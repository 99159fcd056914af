"""Versions of features: plan, refresh, compare, go back, remove, compact."""
