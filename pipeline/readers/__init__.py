"""Readers: a dump's bytes to Posts, one module a format. A record becomes a Post or a Dropped, never nothing."""
