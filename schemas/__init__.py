"""The contract between the pipeline and the trainer, and the plumbing both programs share."""

SCHEMA_VERSION = 1
"""Version of the dataset folder's layout; part of every fingerprint and of the manifest."""
