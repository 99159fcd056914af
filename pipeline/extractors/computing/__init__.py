"""Who computes a network's passes: torch, or a library that is given the network once, as a graph."""
