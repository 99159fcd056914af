"""Pictures that lie in a dump itself. They are set aside while it is read, so that no record carries their bytes on.

They wait in the workspace under their hash until the image stage looks at them, and go when all records are made.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from m3h.pipeline.cleaning.groups import Verdict
from m3h.pipeline.images.source_folder import read
from m3h.pipeline.images.store import put
from m3h.schemas.errors import ImageFault, M3hError
from m3h.schemas.inside import picture_file
from m3h.schemas.posts import Dropped, ImageRef, Post


@dataclass(frozen=True)
class Embedded:
    """Where pictures of dumps wait. folder: of the workspace. max_bytes: of a picture that may be kept."""

    folder: Path
    max_bytes: int

    def set_aside(self, post: Post) -> Verdict:
        """Write the picture of a post that brings one, and name it by its hash instead.

        Only a single picture is written: a post with several is dropped for that.

        Returns:
            The post without bytes, or what drops it: a picture without bytes, or with too many.
        """
        if not any(image.content or image.embedded for image in post.images):
            return post
        if len(post.images) > 1:
            return post.having(images=tuple(_without_bytes(image, "") for image in post.images))
        (image,) = post.images
        if not image.content:
            return Dropped.of(post, "image", "image_empty", detail=f"{name_of(image)}: 0 bytes")
        if len(image.content) > self.max_bytes:  # a reader holds no more of it than shows that
            detail = f"{name_of(image)}: more than {self.max_bytes} bytes"
            return Dropped.of(post, "image", "image_too_large", detail=detail)
        digest = hashlib.sha256(image.content).hexdigest()
        put(picture_file(self.folder, digest), digest, image.content, lasting=False)
        return post.having(images=(_without_bytes(image, digest),))

    def read(self, reference: ImageRef) -> bytes:
        """The bytes that were set aside.

        Raises:
            M3hError: they are gone, or are others: no fault of the picture.
        """
        path = picture_file(self.folder, reference.embedded)
        with suppress(ImageFault):
            data = read(path, self.max_bytes)
            if hashlib.sha256(data).hexdigest() == reference.embedded:
                return data
        raise M3hError(f"{path}: was removed or changed meanwhile. The same command reads the dump again.")


def name_of(image: ImageRef) -> str:
    """What a person calls a picture: the last part of its path, or its URL."""
    return PurePosixPath(image.path).name or image.url


def _without_bytes(image: ImageRef, digest: str) -> ImageRef:
    return replace(image, content=b"", embedded=digest)
