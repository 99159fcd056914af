"""Readers of Bluesky posts: the stream, the pages of its API, repository exports and datasets made of them."""
