"""One training: epochs, checkpoints, several processes and the log."""
