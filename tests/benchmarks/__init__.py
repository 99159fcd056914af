"""Tests of what the benchmarks stand on: made dumps, and runs at growing sizes."""
