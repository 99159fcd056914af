"""`why`: what became of a record or a picture, and which rule or fault decided."""

import difflib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from m3h.pipeline.crawl.ledger import read_table
from m3h.pipeline.dataset.suppression_list import read_suppression_list
from m3h.pipeline.engine.known_rows import read_known_rows
from m3h.pipeline.images.store import image_path
from m3h.pipeline.records.reasons import explained
from m3h.pipeline.text.pii import stored_id, stored_path, stored_url
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.parquet import read_parquet
from m3h.schemas.posts import text_key
from m3h.schemas.shards import KEY, shard_keys

Fate = dict[str, Any]
"""`fate` (kept, dropped or forgotten) and the facts about it: JSON values."""


@dataclass(frozen=True)
class Records:
    """The records of a dataset, to find what became of single ones."""

    data: Dataset

    @cached_property
    def _posts(self) -> list[Fate]:
        return self.data.posts.to_pylist()

    @cached_property
    def _dropped(self) -> list[Fate]:
        return self.data.dropped.to_pylist()

    def of_id(self, record_id: str) -> list[Fate]:
        """What became of every record with an id, also of superseded versions. Empty if there never was one."""
        record_id = stored_id(record_id)
        found = [self._kept(post) for post in self._posts if post["post_id"] == record_id]
        found += [self._drop(row) for row in self._dropped if row["record_id"] == record_id]
        if not found and record_id in read_suppression_list(self.data.folder, self.data.manifest):
            found = [{"fate": "forgotten", "reason": "forgotten", "means": explained("forgotten").means}]
        return found

    def near(self, record_id: str) -> str:
        """The known id that is most similar to an unknown one; "" if none is similar."""
        known = {*(post["post_id"] for post in self._posts), *(row["record_id"] for row in self._dropped)}
        return next(iter(difflib.get_close_matches(record_id, known, n=1, cutoff=0.75)), "")

    def of_image(self, name: str) -> list[Fate]:
        """Pictures with this sha256 (or one that begins so), URL or path, with their posts and rows.

        For a picture that is not in the dataset: the records that were dropped because of it.
        """
        found, names = [], {name, stored_url(name), stored_path(name)}
        for row in self.data.images.to_pylist():
            if names & {row["url"], row["path"]} or (len(name) >= 8 and row[KEY].startswith(name)):
                posts = [post["post_id"] for post in self._posts if post[KEY] == row[KEY]]
                path = image_path(self.data.folder, row[KEY])
                file = {"file": str(path)} if path.is_file() else {}
                about = {column: value for column, value in row.items() if value is not None}
                found.append({**about, **file, "posts": posts, "features": self._rows(row[KEY])})
        lost = [row for row in self._dropped if row["detail"] in {name, stored_path(name)}] if not found else []
        found += [{"posts": [row["record_id"]], **self._drop(row)} for row in lost]
        return found + self._fetched(name)

    def _fetched(self, url: str) -> list[Fate]:
        """What became of a URL when it was fetched."""
        tables = [self.data.read(name, read_table) for name in self.data.names("images/crawl-")]
        rows = [asdict(table[name]) for table in tables for name in {url, stored_url(url)} if name in table]
        return [{"crawl": row["status"], **_explained(row), **{n: v for n, v in row.items() if v}} for row in rows]

    def _kept(self, post: Fate) -> Fate:
        copied = {name: post[name] for name in ("split", "group", "image_sha256", "keyphrases", "source", "position")}
        return {"fate": "kept", **copied, "group_with": self._group_with(post), "features": self._rows(post[KEY])}

    def _group_with(self, post: Fate) -> list[Fate]:
        """The other posts of a post's group, and what each shares with it."""
        others = [other for other in self._posts if other["group"] == post["group"] and other is not post]
        return [{"post_id": other["post_id"], "through": _shared(post, other)} for other in others]

    def _drop(self, row: Fate) -> Fate:
        reason = explained(row["reason"])
        rules = {name: _value(self.data.manifest.config, name) for name in reason.rules}
        return {
            "fate": "dropped",
            **{name: row[name] for name in ("stage", "reason", "detail", "source", "position")},
            "means": reason.means,
            "advice": reason.advice,
            "rules": {name: value for name, value in rules.items() if value is not _NONE},
        }

    def _rows(self, image: str) -> list[Fate]:
        """Whether a picture has a row in every version of every feature, and if not, why."""
        return [
            {"feature": name, "fingerprint": version, "current": version == feature.current}
            | self._row(name, version, image)
            for name, feature in sorted(self.data.manifest.features.items())
            for version in sorted(feature.versions)
        ]

    def _row(self, name: str, version: str, image: str) -> Fate:
        earlier = read_known_rows(self.data.manifest, name, version)
        place = bisect_right(earlier.shards, image, key=attrgetter("first")) - 1
        if place >= 0 and image in self.data.read(earlier.shards[place].name, shard_keys):
            return {"row": True, "shard": earlier.shards[place].name}
        lost = self.data.read(earlier.dropped.name, read_parquet).to_pylist() if earlier.dropped else []
        for row in lost:
            if row["record_id"] == image:
                return {"row": False, "reason": row["reason"], "detail": row["detail"], **_explained(row)}
        return {
            "row": False,
            "reason": "",
            "means": "No kept post showed it, so the feature was not computed.",
        }


_NONE = object()


def _explained(row: Mapping[str, Any]) -> Fate:
    """What a row's reason means and what to do about it; empty if it has no reason."""
    reason = explained(row["reason"])
    return {"means": reason.means, "advice": reason.advice} if row["reason"] else {}


def _value(config: Mapping[str, Any], field: str) -> Any:
    """The value of a field by its dotted name; _NONE if the configuration has no field of that name."""
    value: Any = config
    for name in field.split("."):
        value = value.get(name, _NONE) if isinstance(value, Mapping) else _NONE
    return value


def _shared(post: Fate, other: Fate) -> str:
    same = ["picture"] if post[KEY] == other[KEY] else []
    text = text_key(post["tokens"])
    if text and text == text_key(other["tokens"]):
        same.append("text")
    return " and ".join(same) or "a near copy, or a chain of others"


def why(dataset: Path, record_id: str = "", image: str = "") -> list[Fate]:
    """Find what became of a record or of a picture. Exactly one of `record_id` and `image` is given.

    Args:
        dataset: the dataset's folder.
        record_id: the record's id.
        image: the picture's sha256 (or at least 8 characters of its beginning), URL or path.

    Returns:
        One mapping for each record or picture that was found.

    Raises:
        UsageError: none of them is given, or both.
    """
    if bool(record_id) == bool(image):
        raise UsageError("--id, --image: give exactly one of them.")
    records = Records(Dataset(dataset))
    return records.of_id(record_id) if record_id else records.of_image(image)
