"""The tables and figures of the paper, and attention maps."""
