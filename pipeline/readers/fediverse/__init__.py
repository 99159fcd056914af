"""Readers of posts of Mastodon and of all servers that speak ActivityPub."""
