"""What was read out of texts, kept while a build is unfinished: however often killed, it reads a shard once."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from m3h.schemas.files import publish_bytes, read_json_if_whole
from m3h.schemas.inside import file_in

Reading = tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[str]]
"""Of a post: hashtags, tokens, keyphrases, and the tokens of its picture's description."""


class RecordedLookups(Mapping[str, str]):
    """How hashtags are usually written. answers: of each that was looked up; None where nothing is known."""

    def __init__(self, written: Mapping[str, str]) -> None:
        self.answers: dict[str, str | None] = {}
        self._written = written

    def __getitem__(self, hashtag: str) -> str:
        answer = self.answers[hashtag] = self._written.get(hashtag)
        if answer is None:
            raise KeyError(hashtag)
        return answer

    def __iter__(self) -> Any:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)


def read_once(
    shard: bytes, written: Mapping[str, str], folder: Path, *, read: Callable[[RecordedLookups], Iterable[Reading]]
) -> list[Reading]:
    """What `read` finds in the posts of a shard, in their order, or what it found there before.

    It is the same shard if it has the same posts, and if those of their hashtags that were asked for are usually
    written as before: a picture that came meanwhile may have brought posts that write them otherwise.

    Args:
        shard: the posts, encoded; equal for equal posts.
        written: how lower-cased hashtags are usually written.
        folder: where readings are kept.
        read: reads the shard, and asks the lookups it is given for the way a hashtag is written.
    """
    path = file_in(folder, f"{hashlib.sha256(shard).hexdigest()}.json")
    known = _known(path, written)
    if known is None:
        asked = RecordedLookups(written)
        known = list(read(asked))
        publish_bytes(path, json.dumps({"asked": asked.answers, "read": known}).encode(), lasting=False)
    return known


def _known(path: Path, written: Mapping[str, str]) -> list[Reading] | None:
    kept = read_json_if_whole(path)
    if kept is None or any(written.get(hashtag) != answer for hashtag, answer in kept["asked"].items()):
        return None
    return list(kept["read"])
