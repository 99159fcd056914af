"""`why`: what became of a record or a picture, and which rule or fault decided."""

import difflib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from pipeline.crawl.ledger import read_table
from pipeline.earlier import earlier_feature
from pipeline.forgotten import read_forgotten
from pipeline.groups import text_key
from pipeline.images import image_path
from pipeline.reasons import explained
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.parquet import read_parquet
from schemas.shards import KEY, shard_keys

Fate = dict[str, Any]
"""`fate` (kept, dropped, forgotten) and what there is to say of it: JSON values."""


@dataclass(frozen=True)
class Records:
    """The records of a dataset, to be asked about one by one."""

    data: Dataset

    @cached_property
    def _posts(self) -> list[Fate]:
        return self.data.posts.to_pylist()

    @cached_property
    def _dropped(self) -> list[Fate]:
        return self.data.dropped.to_pylist()

    def of_id(self, record_id: str) -> list[Fate]:
        """What became of every record of an id: superseded versions, too. Empty where there never was one."""
        found = [self._kept(post) for post in self._posts if post["post_id"] == record_id]
        found += [self._left(row) for row in self._dropped if row["record_id"] == record_id]
        if not found and record_id in read_forgotten(self.data.folder, self.data.manifest):
            found = [{"fate": "forgotten", "reason": "forgotten", "means": explained("forgotten").means}]
        return found

    def near(self, record_id: str) -> str:
        """The known id that is most like one that is not; "" where none is."""
        known = {*(post["post_id"] for post in self._posts), *(row["record_id"] for row in self._dropped)}
        return next(iter(difflib.get_close_matches(record_id, known, n=1, cutoff=0.75)), "")

    def of_image(self, name: str) -> list[Fate]:
        """Pictures of this sha256 (or its beginning), URL or path, the posts that show them, and their rows.

        Of a picture that is not here, the records that left because of it.
        """
        found = []
        for row in self.data.images.to_pylist():
            if name in (row["url"], row["path"]) or (len(name) >= 8 and row[KEY].startswith(name)):
                posts = [post["post_id"] for post in self._posts if post[KEY] == row[KEY]]
                path = image_path(self.data.folder, row[KEY])
                file = {"file": str(path)} if path.is_file() else {}
                about = {column: value for column, value in row.items() if value is not None}
                found.append({**about, **file, "posts": posts, "features": self._rows(row[KEY])})
        lost = [row for row in self._dropped if name == row["detail"]] if not found else []
        found += [{"posts": [row["record_id"]], **self._left(row)} for row in lost]
        return found + self._fetched(name)

    def _fetched(self, url: str) -> list[Fate]:
        """What became of a URL when it was asked for."""
        tables = [read_table(self.data.checked(name)) for name in self.data.names("images/crawl-")]
        rows = [asdict(table[url]) for table in tables if url in table]
        return [{"crawl": row["status"], **_explained(row), **{n: v for n, v in row.items() if v}} for row in rows]

    def _kept(self, post: Fate) -> Fate:
        told = {name: post[name] for name in ("split", "group", "image_sha256", "keyphrases", "source", "position")}
        return {"fate": "kept", **told, "group_with": self._company(post), "features": self._rows(post[KEY])}

    def _company(self, post: Fate) -> list[Fate]:
        """The other posts of its group, and what each shares with it."""
        others = [other for other in self._posts if other["group"] == post["group"] and other is not post]
        return [{"post_id": other["post_id"], "through": _shared(post, other)} for other in others]

    def _left(self, row: Fate) -> Fate:
        told = explained(row["reason"])
        rules = {name: _value(self.data.manifest.config, name) for name in told.rules}
        return {
            "fate": "dropped",
            **{name: row[name] for name in ("stage", "reason", "detail", "source", "position")},
            "means": told.means,
            "advice": told.advice,
            "rules": {name: value for name, value in rules.items() if value is not _NONE},
        }

    def _rows(self, image: str) -> list[Fate]:
        """Whether a picture has its row in every feature, and why not."""
        return [
            {"feature": name, "fingerprint": version, "current": version == feature["current"]}
            | self._row(name, version, image)
            for name, feature in sorted(self.data.manifest.features.items())
            for version in sorted(feature["versions"])
        ]

    def _row(self, name: str, version: str, image: str) -> Fate:
        earlier = earlier_feature(self.data.manifest, name, version, frozenset())
        place = bisect_right(earlier.shards, image, key=attrgetter("first")) - 1
        if place >= 0 and image in shard_keys(self.data.checked(earlier.shards[place].name)):
            return {"row": True, "shard": earlier.shards[place].name}
        lost = read_parquet(self.data.checked(earlier.dropped.name)).to_pylist() if earlier.dropped else []
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
    """What a row's reason means and what to do about it; nothing where it has none."""
    told = explained(row["reason"])
    return {"means": told.means, "advice": told.advice} if row["reason"] else {}


def _value(config: Mapping[str, Any], field: str) -> Any:
    """A field of a nested configuration by its dotted name; _NONE where the dataset's has none of that name."""
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
    """What became of a record or a picture. UsageError unless exactly one of them is asked for."""
    if bool(record_id) == bool(image):
        raise UsageError("--id, --image: give exactly one of them.")
    records = Records(Dataset(dataset))
    return records.of_id(record_id) if record_id else records.of_image(image)
