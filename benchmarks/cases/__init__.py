"""What `make bench` measures, one module a case. `CASES` lists them in the order of the table.

Sides of peers run in another environment, so a case imports m3h and the libraries of its peers inside its functions.
"""

CASES = ("text", "ocr", "shards")
"""Modules of this package; each has a `CASE`."""
