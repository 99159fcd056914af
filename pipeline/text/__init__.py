"""From the text of a post to tokens and keyphrases (§4); plain functions."""
