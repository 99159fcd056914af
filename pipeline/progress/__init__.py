"""How far a command is: counts, stages, speeds and time left, shown as bars, log lines or JSON."""
