"""A run as a whole: train, evaluate, sweep."""
