"""Training of the attribute head: captions to a vocabulary, pictures to vectors, both to a linear layer."""
