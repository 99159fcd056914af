"""`inspect`: what dump files are and how they would be read, before anything is built."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from m3h.pipeline.progress.monitor import watched
from m3h.pipeline.readers.description import Description, described
from m3h.pipeline.readers.dumps import DumpFile, read_dump
from m3h.pipeline.readers.usable import complaint
from m3h.pipeline.records.reasons import explained
from m3h.pipeline.rules import ReadRules
from m3h.pipeline.text.pii import masked_dropped, masked_post, stored_path, stored_url
from m3h.schemas.console import one_line
from m3h.schemas.posts import Dropped, Post

SAMPLES = 3
_LONGEST_TEXT = 200


@dataclass
class Inspection:
    """What was found in a file.

    posts, dropped: how many records became posts, and how many did not, by reason.
    examples: of each reason the first record, as it would be stored.
    samples: the first posts, as they would be stored. unread: fields that could not be read, with numbers of posts.
    complaint: why nothing of the file is of use, "" where something is.
    """

    name: str
    description: Description | None = None
    posts: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Dropped] = field(default_factory=dict)
    samples: list[Post] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    complaint: str = ""

    @property
    def records(self) -> int:
        """All records of the file."""
        return self.posts + self.dropped.total()

    def add(self, record: Post | Dropped) -> None:
        """Count a record, and keep it if it is one of the first."""
        if isinstance(record, Post):
            self.posts += 1
            self.unread.update(record.unread)
            if len(self.samples) < SAMPLES:
                self.samples.append(masked_post(record))
        else:
            self.dropped[record.reason] += 1
            if record.reason not in self.examples:
                self.examples[record.reason] = masked_dropped(record)

    def summary(self) -> dict[str, Any]:
        """For `--json`."""
        about = self.description
        return {
            "name": self.name,
            **({} if about is None else {**vars(about)}),
            "records": self.records,
            "posts": self.posts,
            "dropped": dict(sorted(self.dropped.items())),
            "unread_fields": dict(sorted(self.unread.items())),
            "samples": [_sample(post) for post in self.samples],
            "complaint": self.complaint,
        }

    def text(self) -> str:
        """For people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        about = self.description
        if about is not None:
            packed = f", {about.compression}" if about.compression else ""
            yield f"{one_line(self.name)}: {about.layout}{packed}; {self.records} records, {self.posts} of them posts"
            if about.formats:
                yield f"  format: {', '.join(f'{name} ({number})' for name, number in about.formats.items())}"
            if about.taken:
                listed = ", ".join(f"{part} from {one_line(', '.join(names))}" for part, names in about.taken.items())
                yield f"  taken: {listed}"
        if self.complaint:
            yield f"  nothing of use: {one_line(self.complaint)}"
        for post in map(_sample, self.samples):
            said = "; ".join(f"{name}: {_shown(value)}" for name, value in post.items() if value not in (None, "", []))
            yield f"  post {said}"
        for name, number in sorted(self.unread.items()):
            yield f"  {one_line(name)} could not be read in {number} posts, which are read without it"
        for reason, number in self.dropped.most_common():
            yield from self._dropped_lines(reason, number)

    def _dropped_lines(self, reason: str, number: int) -> Iterator[str]:
        example, meaning = self.examples[reason], explained(reason)
        yield f"  dropped {number}, {reason}: {meaning.means} {meaning.advice}".rstrip()
        yield f"    the first at position {example.position}: {one_line(example.detail)}".rstrip(": ")


def _sample(post: Post) -> dict[str, Any]:
    pictures = [stored_url(image.url) or stored_path(image.path) or "in the dump itself" for image in post.images]
    text = post.text if len(post.text) <= _LONGEST_TEXT else f"{post.text[:_LONGEST_TEXT]}…"
    return {
        **{"id": post.post_id, "text": text, "hashtags": list(post.hashtags), "pictures": pictures, "alt": post.alt},
        **{"lang": post.lang, "created_at": post.created_at, "split": post.split},
        **{"repost": post.is_repost or None, "quote": post.is_quote or None},
    }


def _shown(value: object) -> str:
    return one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def inspect_dump(dump: DumpFile, rules: ReadRules) -> Inspection:
    """Read a file from its beginning to its end. Nothing is written.

    Args:
        dump: The file.
        rules: How it is read.
    """
    found = Inspection(dump.name)
    with watched("records", None, lambda: found.records):
        for record in read_dump(dump, rules):
            found.add(record)
    found.complaint = "" if found.posts else complaint(dump, rules)
    found.description = described(dump, rules, found.records)
    return found
