"""What lies in a file that was named as weights: which kind of file it is, and what numpy left in it."""
