"""From a trained network to ranked keyphrases."""
