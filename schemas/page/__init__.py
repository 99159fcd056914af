"""What pages that open from disk share: charts, thumbnails, records as scripts, the folder they lie in."""
