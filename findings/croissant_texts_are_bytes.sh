#!/usr/bin/env bash
# mlcroissant 1.1.1 (Python 3.11, pandas 3.1.1), 2026-11-29
#
# Seen: a field of the type sc:Text arrives as bytes, `b'caf\xc3\xa9'`, in lists as well. Whole numbers and truth
# values arrive as such. The Parquet file holds strings, the Croissant file says Text, and the library says nothing of
# an encoding. An empty text is b''.
#
# Expected: Python's str. Croissant 1.0 takes sc:Text from schema.org, where it is a string of letters.
#
# Why it hurts here: token == "tea" is silently False for every token, so that a vocabulary counted over records has no
# word in common with one read from the same file, and " ".join(tokens) fails only in programs that join.
#
# Output seen:
#   id b'1' tokens [b'tea', b'caf\xc3\xa9'] number 7 kept True
#   id b'2' tokens [] number 8 kept False
#   posts with the token 'tea': 0; with b'tea': 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check mlcroissant==1.1.1 pandas==3.1.1 pyarrow==25.0.1

env/bin/python - <<'END'
import json
import logging
import sys

import mlcroissant
import pyarrow as pa
import pyarrow.parquet as pq

logging.disable(logging.WARNING)
columns = {"id": ["1", "2"], "tokens": [["tea", "café"], []], "number": [7, 8], "kept": [True, False]}
pq.write_table(pa.table(columns), "posts.parquet")
types = {"id": "sc:Text", "tokens": "sc:Text", "number": "sc:Integer", "kept": "sc:Boolean"}
described = {
    "@context": mlcroissant.Rdf().context,
    "@type": "sc:Dataset",
    "conformsTo": "http://mlcommons.org/croissant/1.0",
    "name": "posts",
    "description": "Two posts.",
    "license": "https://creativecommons.org/publicdomain/zero/1.0/",
    "url": "https://example.org",
    "distribution": [
        {
            "@type": "cr:FileSet",
            "@id": "files",
            "name": "files",
            "encodingFormat": "application/x-parquet",
            "includes": "posts.parquet",
        }
    ],
    "recordSet": [
        {
            "@type": "cr:RecordSet",
            "@id": "posts",
            "name": "posts",
            "field": [
                {
                    "@type": "cr:Field",
                    "@id": f"posts/{name}",
                    "name": name,
                    "dataType": kind,
                    "repeated": name == "tokens",
                    "source": {"fileSet": {"@id": "files"}, "extract": {"column": name}},
                }
                for name, kind in types.items()
            ],
        }
    ],
}
with open("croissant.json", "w") as file:
    json.dump(described, file)
rows = [
    {name.partition("/")[2]: value for name, value in record.items()}
    for record in mlcroissant.Dataset("croissant.json").records("posts")
]
for row in rows:
    print(*(f"{name} {value!r}" for name, value in row.items()))
found = [sum(token in row["tokens"] for row in rows) for token in ("tea", b"tea")]
print(f"posts with the token 'tea': {found[0]}; with b'tea': {found[1]}")
expected = [
    {"id": b"1", "tokens": [b"tea", "café".encode()], "number": 7, "kept": True},
    {"id": b"2", "tokens": [], "number": 8, "kept": False},
]
if rows != expected or found != [0, 1]:
    sys.exit("changed: how mlcroissant gives texts")
END
