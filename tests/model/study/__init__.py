"""The tables and figures of the paper, attention over pictures, and types of pictures."""
