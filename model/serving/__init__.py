"""A local server: a page to try a run on a post with its picture, and the JSON endpoint behind it."""
