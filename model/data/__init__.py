"""From a dataset's posts and shards to padded, masked batches."""
