"""Readers turn the bytes of a dump into Posts, one module per format. Each record becomes a Post or a Dropped."""
