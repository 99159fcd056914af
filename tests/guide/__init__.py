"""The README and the pages of docs/ do what they say: their commands run, and print what stands there."""
