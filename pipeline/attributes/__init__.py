"""Trains the attribute head, a linear layer from the vectors of pictures to the attributes in their captions."""
