"""croissant.json: a dataset for those who load data by MLCommons' Croissant 1.0 (https://docs.mlcommons.org/croissant).

Posts, dropped records and pictures are record sets that a loader reads from the Parquet files; features are named as
file sets. Every value is from the manifest and the card, so the same dataset has the same bytes.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from m3h.pipeline.dataset.tables import IMAGE_LIST_PATTERN
from m3h.schemas.features import canonical_json
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import DROPPED_SCHEMA, IMAGE_SCHEMA, POST_SCHEMA

CROISSANT = "croissant.json"

_PARQUET, _HDF5 = "application/x-parquet", "application/x-hdf5"

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            *("column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
            *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references"),
            *("regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
        )
    },
}

Fields = Sequence[tuple[str, str]]
"""Columns of a table, each with what it holds."""

_POSTS: Fields = (
    ("post_id", "The source's id."),
    ("text", "The text, with personal details masked."),
    ("tokens", "Its lower-cased words."),
    ("keyphrases", "What a model has to predict: the hashtags as words."),
    ("hashtags", "Lower-cased, without the sign."),
    ("image_sha256", "Key of the picture and of every feature row."),
    ("split", "train, valid or test."),
    ("own_split", "Whether the source brought the split."),
    ("group", "Posts that share a picture or a text, or nearly, share a group."),
    ("lang", "A BCP 47 code."),
    ("created_at", "As the dump writes it."),
    ("source", "Format and file of the record."),
    ("position", "Place of the record in that file, from 1."),
    ("versions", "Ids of all versions of an edited post."),
    ("sensitive", "Whether the picture was marked as nothing for everybody."),
    ("alt", "What the author says that the picture shows."),
    ("alt_tokens", "Tokens of that."),
)
_DROPPED: Fields = (
    ("record_id", "The source's id, empty where the record has none."),
    ("stage", "The stage that dropped it."),
    ("reason", "Why, in one word."),
    ("detail", "What was found."),
    ("source", "Format and file of the record."),
    ("position", "Place of the record in that file, from 1."),
)
_PICTURES: Fields = (
    ("image_sha256", "sha256 of the bytes; the name of the file below images/."),
    ("status", "Whether the bytes are stored."),
    ("width", "In pixels."),
    ("height", "In pixels."),
)
_SETS = (
    ("posts", "posts/part-*.parquet", POST_SCHEMA, _POSTS, "The posts that were kept.", "post_id"),
    ("dropped", "dropped/part-*.parquet", DROPPED_SCHEMA, _DROPPED, "The records that were dropped, and why.", ""),
    ("pictures", IMAGE_LIST_PATTERN, IMAGE_SCHEMA, _PICTURES, "The pictures of the records.", "image_sha256"),
)


def croissant(manifest: Manifest, *, about: Mapping[str, str]) -> dict[str, Any]:
    """The JSON-LD of a dataset.

    Args:
        manifest: What the dataset contains.
        about: `name`, `description`, `license` and `url`, as the card has them.
    """
    sets = [one for one in _SETS if _has(manifest, one[1])]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **about,
        "version": f"{manifest.schema_version}.0.0+{_content(manifest)}",
        "keywords": ["keyphrase prediction", "hashtags", "multimodal", "social media"],
        "distribution": [
            *(_files(name, pattern, _PARQUET, text) for name, pattern, _, _, text, _ in sets),
            *_feature_files(manifest),
        ],
        "recordSet": [
            _record_set(name, schema, fields, text=text, key=key) for name, _, schema, fields, text, key in sets
        ],
    }


def _content(manifest: Manifest) -> str:
    """12 digits that change when a post or a row of a feature does."""
    files = {name: entry.sha256 for name, entry in manifest.files.items() if name.startswith(("posts/", "features/"))}
    return hashlib.sha256(canonical_json(files).encode()).hexdigest()[:12]


def _has(manifest: Manifest, pattern: str) -> bool:
    """Whether the dataset has files of a pattern that ends in `*.parquet`."""
    return any(name.startswith(pattern.partition("*")[0]) and entry.rows for name, entry in manifest.files.items())


def _files(name: str, pattern: str, kind: str, text: str) -> dict[str, Any]:
    named = {"@type": "cr:FileSet", "@id": f"{name}-files", "name": f"{name}-files", "description": text}
    return {**named, "encodingFormat": kind, "includes": pattern}


def _feature_files(manifest: Manifest) -> Iterator[dict[str, Any]]:
    """The shards of each feature's current version."""
    for name, feature in sorted(manifest.features.items()):
        if shards := feature.current_version.shards:
            suffix = shards[0].rpartition(".")[2]
            text = f"{name}, version {feature.current}: {feature.current_version.rows} pictures by image_sha256. "
            text += " ".join(feature.current_version.notes)
            pattern = f"features/{name}/{feature.current}/shard-*.{suffix}"
            yield _files(name, pattern, _PARQUET if suffix == "parquet" else _HDF5, text.strip())


def _record_set(name: str, schema: pa.Schema, fields: Fields, *, text: str, key: str) -> dict[str, Any]:
    keyed = {"key": {"@id": f"{name}/{key}"}} if key else {}
    return {
        **{"@type": "cr:RecordSet", "@id": name, "name": name, "description": text, **keyed},
        "field": [_field(name, schema.field(column), about) for column, about in fields],
    }


def _field(record_set: str, column: pa.Field, about: str) -> dict[str, Any]:
    is_list = pa.types.is_list(column.type)
    named = f"{record_set}/{column.name}"
    return {
        **{"@type": "cr:Field", "@id": named, "name": named, "description": about},
        "dataType": _kind(column.type.value_type if is_list else column.type),
        **({"repeated": True} if is_list else {}),
        "source": {"fileSet": {"@id": f"{record_set}-files"}, "extract": {"column": column.name}},
    }


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    return "sc:Integer" if pa.types.is_integer(kind) else "sc:Text"
