"""The commands `build`, `retry` and `featurize`: from dumps to a published dataset."""
