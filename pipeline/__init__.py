"""Tweet dumps to a dataset folder: readers, cleaning, image features, all on Apache Beam."""
