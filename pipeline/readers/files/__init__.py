"""Which files of a folder or a zip archive are dumps, what they are called in a dataset, and how a zip is read."""
