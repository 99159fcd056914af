"""Random histories of datasets: what may happen to them, in worlds that the tests play."""
