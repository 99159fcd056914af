"""The contract between the pipeline and the trainer, and the plumbing both programs share."""

SCHEMA_VERSION = 1
"""Version of how features are stored; part of every fingerprint."""

DATASET_VERSION = 2
"""Version of the dataset folder's layout, in the manifest. Since 2, records name their pictures and their versions."""
