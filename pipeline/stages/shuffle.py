"""Records across a shuffle, as bytes.

The embedded runner holds a shuffle in memory, and takes apart what crosses it: a post as an object is five times as
large as its fields in Beam's own encoding, and takes twice as long on the way.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import apache_beam as beam
from apache_beam.coders import FastPrimitivesCoder

from schemas.posts import ImageRef, Post

_CODER = FastPrimitivesCoder().get_impl()
_NAMES = tuple(field.name for field in fields(Post))
_IMAGES = _NAMES.index("images")


def pack(value: Any) -> bytes:
    """Anything made of numbers, text, tuples, lists and mappings."""
    return bytes(_CODER.encode(value))


def unpack(data: bytes) -> Any:
    """Inverse of `pack`."""
    return _CODER.decode(data)


def pack_post(post: Post) -> bytes:
    """Its fields."""
    values = [getattr(post, name) for name in _NAMES]
    values[_IMAGES] = [(image.path, image.url) for image in post.images]
    return pack(values)


def unpack_post(data: bytes) -> Post:
    """Inverse of `pack_post`."""
    values = unpack(data)
    values[_IMAGES] = tuple(ImageRef(*image) for image in values[_IMAGES])
    return Post(*values)


@dataclass
class Grouped(beam.PTransform):
    """Elements -> (key, list of elements), unpacked again; Posts unless told otherwise."""

    key: Callable[[Any], Any]
    pack: Callable[[Any], bytes] = pack_post
    unpack: Callable[[bytes], Any] = unpack_post

    def expand(self, elements: Any) -> Any:
        """A group is in memory as a whole."""
        key, pack, unpack = self.key, self.pack, self.unpack
        return (
            elements
            | "pack" >> beam.Map(lambda element: (key(element), pack(element)))
            | beam.GroupByKey()
            | "unpack" >> beam.MapTuple(lambda key, group: (key, [unpack(data) for data in group]))
        )
