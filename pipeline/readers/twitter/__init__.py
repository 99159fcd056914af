"""Readers of tweets, one module per shape: Twitter's APIs, its web page, and the tools that collect from them."""
