"""A picture on its way into the store: from a folder or out of a dump, looked at, kept. Or it is there already."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from m3h.pipeline.images.embedded import Embedded, name_of
from m3h.pipeline.images.source_folder import locate, read
from m3h.pipeline.images.store import StoredImage, image_path, keep
from m3h.pipeline.images.verdict_cache import judge, may_pass_next_time
from m3h.pipeline.rules import ImageRules
from m3h.schemas.errors import ImageFault, M3hError
from m3h.schemas.posts import ImageRef


def admit_picture(
    reference: ImageRef,
    folders: Sequence[Path],
    dataset: Path,
    *,
    rules: ImageRules,
    verdicts: Path,
    post_ids: Iterable[str] = (),
) -> StoredImage:
    """Find a picture, let the validator look at its bytes, and keep them.

    Args:
        reference: where the record says the picture lies.
        folders: the user's; the first that has the picture counts.
        dataset: whose store keeps the bytes.
        rules: which pictures may be kept.
        verdicts: folder of what the validator said before.
        post_ids: of the posts that show it.

    Raises:
        ImageFault: where the picture may not be kept; its detail begins with the file's name.
    """
    path = locate(reference, folders, post_ids)
    try:
        data = read(path, rules.max_bytes)
        stored = judge(data, rules, verdicts)
    except ImageFault as fault:
        raise ImageFault(fault.reason, f"{path.name}: {fault.detail}") from fault
    keep(dataset, stored.image_sha256, data)
    return stored


def admit_embedded(
    reference: ImageRef, embedded: Embedded, dataset: Path, *, rules: ImageRules, verdicts: Path
) -> StoredImage:
    """Let the validator look at a picture that its dump brought, and keep its bytes.

    Args:
        reference: with the hash of the bytes.
        embedded: where they wait.
        dataset: whose store keeps them.
        rules: which pictures may be kept.
        verdicts: folder of what the validator said before.

    Raises:
        ImageFault: where the picture may not be kept; its detail begins with the file's name.
    """
    data = embedded.read(reference)
    try:
        stored = judge(data, rules, verdicts)
    except ImageFault as fault:
        raise ImageFault(fault.reason, f"{name_of(reference)}: {fault.detail}") from fault
    keep(dataset, stored.image_sha256, data)
    return stored


def admit_stored(image_sha256: str, dataset: Path, *, rules: ImageRules, verdicts: Path) -> StoredImage | None:
    """A picture that the store of a dataset has.

    Args:
        image_sha256: of its bytes.
        dataset: whose store is looked in.
        rules: which pictures may be kept.
        verdicts: folder of what the validator said before.

    Returns:
        What is known of it. None where its bytes are not there, or are others.

    Raises:
        ImageFault: where the picture may not be kept any more.
        M3hError: where the validator could not judge it this time.
    """
    path = image_path(dataset, image_sha256)
    try:
        data = read(path, rules.max_bytes)
    except ImageFault:
        return None
    if hashlib.sha256(data).hexdigest() != image_sha256:
        return None
    try:
        return judge(data, rules, verdicts)
    except ImageFault as fault:
        if may_pass_next_time(fault.reason):  # a busy machine must not take a picture away
            raise M3hError(f"{path}: {fault}. It was sound before; the same command tries it again.") from fault
        raise
