"""Pictures: decoding in a process of its own, checks, and the content-addressed store."""
