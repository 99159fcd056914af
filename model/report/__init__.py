"""A report of finished runs: one folder with a page that a browser opens from disk."""
