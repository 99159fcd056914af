"""How records are encoded between stages, and what stays encoded for longer.

Beam chooses a coder by the type of the elements. A type without its own coder, and everything of type Any, is pickled.
A pickled Post is twice as large and takes twice as long. So every transform states its types.

These facts about Beam 2.77 decide how much memory is used:

* The embedded runner keeps all elements of a shuffle in encoded form. It splits what a coder that it knows (for tuples,
  text, lists) has written, and holds the parts as Python objects. What any other coder has written, it holds as one
  piece of bytes. That is why records have their own coders here, and why a trait is left to FastPrimitivesCoder. Large
  shuffles lie in files, and are grouped a small division at a time (`pipeline/runtime/disk_shuffle.py`).
* The values of one key are decoded together, before the first of them is used. The same is true of a side input. So a
  group that holds a whole table, and a side input that every worker holds, consist of bytes: see `pack`.
* `CoGroupByKey` puts a tag on every value, and a tagged value has the type Any. For Posts `JoinPosts` is used instead.
* If several collections are joined before a shuffle (`Flatten`), they are held once more. `JoinPosts` encodes them
  before that.
* Coders are sent to worker processes pickled, by the name of their class. They must be registered only where a pipeline
  is built; importing this module does it.
"""

from dataclasses import fields
from operator import attrgetter
from typing import Any, ClassVar, Generic, TypeVar

from apache_beam.coders import Coder, FastPrimitivesCoder
from apache_beam.coders.typecoders import registry

from m3h.pipeline.images.store import ImageRow
from m3h.pipeline.readers.record import Part
from m3h.schemas.posts import Dropped, ImageRef, Post

_CODER = FastPrimitivesCoder().get_impl()

T = TypeVar("T")


def pack(value: Any) -> bytes:
    """Encode anything made of numbers, text, tuples, lists and mappings. Equal values without mappings: equal bytes."""
    return bytes(_CODER.encode(value))


def unpack(data: bytes) -> Any:
    """Inverse of `pack`."""
    return _CODER.decode(data)


class RecordCoder(Coder, Generic[T]):
    """Encodes the fields of one dataclass, in their order and without their names. Subclasses name the dataclass."""

    kind: ClassVar[type[Any]]

    def encode(self, value: T) -> bytes:
        """Equal records have equal bytes."""
        return pack(self.values(value))

    def decode(self, encoded: bytes) -> T:
        """Inverse of `encode`."""
        return self.record(unpack(encoded))

    def values(self, record: T) -> list[Any]:
        """The fields as `pack` takes them."""
        return [getattr(record, field.name) for field in fields(self.kind)]

    def record(self, values: list[Any]) -> T:
        """Inverse of `values`."""
        return self.kind(*values)

    def is_deterministic(self) -> bool:
        """True: no field is a mapping or a set."""
        return True

    def to_type_hint(self) -> type[Any]:
        """The type that this coder is for."""
        return self.kind


_NAMES = tuple(field.name for field in fields(Post))
_IMAGES = _NAMES.index("images")
_post_fields = attrgetter(*_NAMES)
_image_fields = attrgetter("path", "url", "alt", "embedded")


class PostCoder(RecordCoder[Post]):
    """Encodes a Post, whose images are records themselves."""

    kind = Post

    def values(self, record: Post) -> list[Any]:
        """The fields, each image as a tuple of its texts. The bytes of a picture are never encoded."""
        values = list(_post_fields(record))
        values[_IMAGES] = [_image_fields(image) for image in record.images]
        return values

    def record(self, values: list[Any]) -> Post:
        """Inverse of `values`."""
        values[_IMAGES] = tuple(ImageRef(*image) for image in values[_IMAGES])
        return Post(*values)


class DroppedCoder(RecordCoder[Dropped]):
    """Encodes a Dropped."""

    kind = Dropped


class PartCoder(RecordCoder[Part]):
    """Encodes a Part."""

    kind = Part


class ImageRowCoder(RecordCoder[ImageRow]):
    """Encodes an ImageRow."""

    kind = ImageRow


for _coder in (PostCoder, DroppedCoder, PartCoder, ImageRowCoder):
    registry.register_coder(_coder.kind, _coder)
