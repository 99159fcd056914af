"""forgotten.json: which posts a dataset must never hold again, by the salted hashes of their ids.

Who holds a dump can still test an id of it against the list; who holds the dataset alone cannot read ids from it.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import IntegrityError
from schemas.files import publish_json, read_json, sha256_file
from schemas.manifest import Manifest
from schemas.posts import Dropped, Post

FORGOTTEN_FILE = "forgotten.json"

MASKED = Dropped("forgotten", "forgotten")
"""What is left of a forgotten record: that it was one. No id, no file, no position."""


@dataclass(frozen=True)
class Forgotten:
    """The list. salt: hex, drawn once a dataset. hashes: of `salt:id`."""

    salt: str = ""
    hashes: frozenset[str] = frozenset()

    def __contains__(self, record_id: object) -> bool:
        return bool(self.hashes) and self._hash(str(record_id)) in self.hashes

    def _hash(self, record_id: str) -> str:
        return hashlib.sha256(f"{self.salt}:{record_id}".encode()).hexdigest()

    @property
    def identity(self) -> str:
        """Equal for equal lists."""
        return hashlib.sha256("\n".join(sorted(self.hashes)).encode()).hexdigest()

    def having(self, ids: Iterable[str]) -> "Forgotten":
        """With more ids."""
        salted = Forgotten(self.salt or secrets.token_hex(16))
        return Forgotten(salted.salt, self.hashes | {salted._hash(record_id) for record_id in ids})

    def masked(self, records: Iterable[Post | Dropped]) -> Iterator[Post | Dropped]:
        """The records of a dump, of those on the list nothing but that there was one."""
        for record in records:
            record_id = record.post_id if isinstance(record, Post) else record.record_id
            yield MASKED if record_id in self else record

    def write(self, folder: Path) -> None:
        """Atomically."""
        publish_json(folder / FORGOTTEN_FILE, {"salt": self.salt, "sha256": sorted(self.hashes)})


NOBODY = Forgotten()


def read_forgotten(dataset: Path, known: Manifest | None = None) -> Forgotten:
    """The list that lies in a dataset folder, or will govern the one to be built there; an empty one where none does.

    known: the manifest of a finished dataset. IntegrityError where the list is no longer what it says: posts that
    must stay away could come back.
    """
    path = dataset / FORGOTTEN_FILE
    if known is not None and (entry := known.files.get(FORGOTTEN_FILE)):
        if not path.is_file() or sha256_file(path) != entry.sha256:
            raise IntegrityError(f"{path}: missing or changed, and forgotten posts could come back. Restore it.")
    elif not path.is_file():
        return NOBODY
    raw = read_json(path)
    try:
        return Forgotten(str(raw["salt"]), frozenset(raw["sha256"]))
    except (KeyError, TypeError) as error:
        raise IntegrityError(f"{path}: expected `salt` and `sha256`, a list of hashes. Restore it.") from error
