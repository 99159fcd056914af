"""A report to look at: one folder with a page that a browser opens from disk, made of a finished dataset."""
