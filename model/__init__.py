"""The lean trainer: finished shards in, keyphrases out. Knows torch, and neither Beam nor OCR nor detectors."""
