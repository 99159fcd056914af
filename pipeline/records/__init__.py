"""Single records: what became of them, and how they are forgotten."""
