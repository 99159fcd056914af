"""forgotten.json: the posts that a dataset must never hold again, as salted hashes of their ids.

Somebody with a dump can still test its ids against the list. From the dataset alone no ids can be read.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import publish_json, read_json, sha256_file
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import Dropped, Post

FORGOTTEN_FILE = "forgotten.json"

MASKED = Dropped("forgotten", "forgotten")
"""All that remains of a forgotten record: no id, no file, no position."""


@dataclass(frozen=True)
class SuppressionList:
    """The list. salt: hex, drawn once per dataset. hashes: of `salt:id`."""

    salt: str = ""
    hashes: frozenset[str] = frozenset()

    def __contains__(self, record_id: object) -> bool:
        return bool(self.hashes) and self._hash(str(record_id)) in self.hashes

    def _hash(self, record_id: str) -> str:
        return hashlib.sha256(f"{self.salt}:{record_id}".encode()).hexdigest()

    @property
    def identity(self) -> str:
        """A digest that is equal for equal lists."""
        return hashlib.sha256("\n".join(sorted(self.hashes)).encode()).hexdigest()

    def having(self, ids: Iterable[str]) -> "SuppressionList":
        """A copy with more ids."""
        salted = SuppressionList(self.salt or secrets.token_hex(16))
        return SuppressionList(salted.salt, self.hashes | {salted._hash(record_id) for record_id in ids})

    def holds(self, record: Post | Dropped) -> bool:
        """Whether a record, or another version of it that it names, is on the list."""
        return any(record_id in self for record_id in names_of(record))

    def chains(self, versions: Iterable[tuple[str, ...]]) -> frozenset[str]:
        """The ids of all posts of which a version is on the list.

        Args:
            versions: As records name them.
        """
        together = list(versions)
        return with_versions((name for names in together for name in names if name in self), together)

    def masked(self, records: Iterable[Post | Dropped]) -> Iterator[Post | Dropped]:
        """The records of a dump. Those on the list are replaced by `MASKED`."""
        for record in records:
            yield MASKED if self.holds(record) else record

    def write(self, folder: Path) -> None:
        """Write the list into a dataset folder, atomically."""
        publish_json(file_in(folder, FORGOTTEN_FILE), {"salt": self.salt, "sha256": sorted(self.hashes)})


NOBODY = SuppressionList()


def names_of(record: Post | Dropped) -> tuple[str, ...]:
    """The ids of a record: its own, and those of the other versions that it names."""
    return (record.post_id if isinstance(record, Post) else record.record_id, *record.versions)


def with_versions(ids: Iterable[str], versions: Iterable[tuple[str, ...]]) -> frozenset[str]:
    """Ids with those of all other versions of their posts.

    Args:
        ids: Of some versions.
        versions: Ids of one post each, as records name them; a record may name some of its versions only.
    """
    found, waiting = frozenset(ids), list(versions)
    while touched := [names for names in waiting if not found.isdisjoint(names)]:
        waiting = [names for names in waiting if found.isdisjoint(names)]
        found |= frozenset(name for names in touched for name in names)
    return found


def read_suppression_list(dataset: Path, known: Manifest | None = None) -> SuppressionList:
    """The list in a dataset folder, finished or still to be built. An empty one where there is none.

    Args:
        dataset: The folder.
        known: The manifest of a finished dataset.

    Raises:
        IntegrityError: The list is not the one in the manifest, so forgotten posts could come back, or is unreadable.
    """
    path = file_in(dataset, FORGOTTEN_FILE)
    if known is not None and (entry := known.files.get(FORGOTTEN_FILE)):
        if not path.is_file() or sha256_file(path) != entry.sha256:
            raise IntegrityError(f"{path}: missing or changed, and forgotten posts could come back. Restore it.")
    elif not path.is_file():
        return NOBODY
    raw = read_json(path)
    try:
        return SuppressionList(str(raw["salt"]), frozenset(raw["sha256"]))
    except (KeyError, TypeError) as error:
        raise IntegrityError(f"{path}: expected `salt` and `sha256`, a list of hashes. Restore it.") from error
