"""Computes one shard of one feature, from pictures to a finished file."""
