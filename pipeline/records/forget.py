"""`forget`: remove posts, and all that only they have, from a finished dataset; then search every file for traces.

The new files are first written beside the dataset. If the command is killed after they are complete, it only has to be
called again.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3h.pipeline.cleaning.groups import age
from m3h.pipeline.config import shard_rules_of
from m3h.pipeline.crawl.ledger import STABLE_SCHEMA, read_table, write_table
from m3h.pipeline.dataset.found_pictures import FOUND_PER_FILE
from m3h.pipeline.dataset.publish import MAPPING, Tallied, notes_of, record_counts
from m3h.pipeline.dataset.suppression_list import MASKED, SuppressionList, read_suppression_list, with_versions
from m3h.pipeline.dataset.tables import DROPPED, DROPPED_PER_FILE, FOUND, IMAGES, POSTS
from m3h.pipeline.dataset.transaction import FORGET, Change, is_interrupted, transaction
from m3h.pipeline.progress.monitor import watched
from m3h.pipeline.records.trace_scan import Names, Sought, traces
from m3h.pipeline.text.hashtags import mapping_table, read_mapping, stated_certainty
from m3h.pipeline.text.pii import stored_id
from m3h.pipeline.versions.rewrite import Rewrite
from m3h.schemas.dataset import Dataset
from m3h.schemas.files import publish_text, validating
from m3h.schemas.inside import file_in, require_dataset
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import Post, dropped_row
from m3h.schemas.shards import KEY

Row = dict[str, Any]

SOMEONE = "a forgotten post"
"""The text that replaces a forgotten id in the rows of others: in a dropped record's detail, in a picture's file."""


@dataclass(frozen=True)
class Forgetting:
    """What `forget` did.

    ids: how many were asked for. posts, dropped: how many records of each were removed. images: how many pictures were
    removed, with their rows in every feature. already: ids that had been forgotten before. unknown: ids that were never
    in the dataset. traces: where something can still be found, one sentence each.
    """

    ids: int = 0
    posts: int = 0
    dropped: int = 0
    images: int = 0
    already: int = 0
    unknown: int = 0
    traces: tuple[str, ...] = ()

    def __add__(self, other: "Forgetting") -> "Forgetting":
        return Forgetting(**{name: value + vars(other)[name] for name, value in vars(self).items()})


def forget(dataset: Path, ids: Collection[str]) -> Forgetting:
    """Forget the records of these ids, with all versions of an edited post, and keep them out from now on.

    If it is killed, the same call finishes the work.

    Raises:
        UsageError: there is no such folder, or an unfinished build lies in it.
        IntegrityError: a file is not what the manifest says.
    """
    require_dataset(dataset)
    done, rest = Forgetting(), frozenset(map(stored_id, ids))
    if is_interrupted(dataset, FORGET):
        earlier_ids, done = _forget(dataset, frozenset())
        rest -= earlier_ids
    if rest and not done.traces:
        done += _forget(dataset, rest)[1]
    return done


def _forget(dataset: Path, ids: frozenset[str]) -> tuple[frozenset[str], Forgetting]:
    """Forget these ids, or those of an earlier call that was killed. Returns the forgotten ids, and what was done."""
    with transaction(dataset, FORGET, Manifest.read(dataset)) as change:
        if change.prepared is None:
            _prepare(change, ids)
        change.publish_prepared()
        with validating(change.journal):
            steps = change.prepared or {}
            sought, report = Sought.of(steps["sought"]), Forgetting(**{**steps["report"], "traces": ()})
        if found := traces(dataset, sought):
            change.stay_open()
            report = replace(report, traces=tuple(found))
    return sought.ids, report


def _prepare(change: Change, ids: frozenset[str]) -> None:
    """Write all files that change beside the dataset, and then the journal that says what to do with them."""
    data = Dataset(change.dataset)
    forgotten = read_suppression_list(data.folder, data.manifest)
    tables = (data.posts, data.dropped, data.images, data.found)
    before = _Records(*(table.to_pylist() for table in tables))
    all_ids = with_versions(ids, before.versions())
    after = before.without(all_ids)
    manifest = _stage(data, before, after, forgotten=forgotten.having(all_ids), out=change.next)
    report = vars(_report(ids, before, after, forgotten=forgotten))
    change.prepare(manifest, sought=_sought(all_ids, before, after).as_json(), report=report)


@dataclass(frozen=True)
class _Records:
    """The rows of the tables of posts, dropped records and pictures, and of what records were found to show."""

    posts: list[Row]
    dropped: list[Row]
    images: list[Row]
    found: list[Row]

    def without(self, ids: frozenset[str]) -> "_Records":
        """The records that stay. A forgotten one becomes a masked row.

        A picture stays if a post still shows it, or if it is known that no forgotten record showed it.
        """
        posts = [post for post in self.posts if post["post_id"] not in ids]
        dropped = [row for row in self.dropped if row["record_id"] not in ids]
        removed = len(self.posts) + len(self.dropped) - len(posts) - len(dropped)
        shown = {post[KEY] for post in posts}
        others = {row[KEY] for row in self.found} - {row[KEY] for row in self.found if row["post_id"] in ids}
        stay = {row[KEY] for row in self.images if not removed or row[KEY] in shown | others}
        found = [row for row in self.found if row["post_id"] not in ids and row[KEY] in stay]
        images = _as_first_named([row for row in self.images if row[KEY] in stay], found)
        return _Records(
            _regrouped(posts, ids),
            [*_without_names(dropped, ids, ("detail",)), *([dropped_row(MASKED)] * removed)],
            _without_names(images, ids, ("path", "url")),
            _without_names(found, ids, ("path", "url")),
        )

    def versions(self) -> list[tuple[str, ...]]:
        """The ids of each record of an edited post: its own, and those of the other versions that it names."""
        named = [*((row["post_id"], row) for row in self.posts), *((row["record_id"], row) for row in self.dropped)]
        return [(record_id, *row["versions"]) for record_id, row in named if row["versions"]]

    def write(self, out: Path, per_part: int) -> None:
        """Write the tables below `out` as a build would."""
        POSTS.write_parts(out, self.posts, per_part)
        DROPPED.write_parts(out, self.dropped, DROPPED_PER_FILE)
        FOUND.write_parts(out, self.found, FOUND_PER_FILE)
        IMAGES.write_parts(out, self.images, per_part)

    def all(self, column: str) -> set[str]:
        """The values of a column of the pictures, and of what records were found to show, without empty ones."""
        return {row[column] for row in (*self.images, *self.found) if row[column]}


def _as_first_named(images: list[Row], found: list[Row]) -> list[Row]:
    """Pictures with the first path and URL by which a record that stays names them, as a build would have it."""
    names: dict[str, tuple[str, str]] = {}
    for row in found:
        name = row["path"], row["url"]
        names[row[KEY]] = min(names.get(row[KEY], name), name)
    return [
        row | dict(zip(("path", "url"), names[row[KEY]], strict=True)) if row[KEY] in names else row for row in images
    ]


def _regrouped(posts: list[Row], ids: Collection[str]) -> list[Row]:
    """Rename groups: a group has the name of its first post, or of the first that stays if that one is forgotten."""
    first_posts: dict[str, Post] = {}
    for row in posts:
        if row["group"] in ids:
            post = Post(row["post_id"], "", source=row["source"], position=row["position"])
            first_posts[row["group"]] = min(first_posts.get(row["group"], post), post, key=age)
    return [
        {**row, "group": first_posts[row["group"]].post_id} if row["group"] in first_posts else row for row in posts
    ]


def _without_names(rows: list[Row], ids: frozenset[str], columns: Collection[str]) -> list[Row]:
    """Rows that stay, without the forgotten ids in some columns, such as the id of the post that a copy repeats."""
    names = Names(ids)

    def masked(value: object) -> object:
        return (SOMEONE if value in ids else names.masked(value, SOMEONE)) if isinstance(value, str) else value

    return [row | {column: masked(row[column]) for column in columns} for row in rows]


def _sought(ids: frozenset[str], before: _Records, after: _Records) -> Sought:
    """What must not be found afterwards: what only the forgotten records had."""
    texts = {post["text"] for post in before.posts} - {post["text"] for post in after.posts} - {""}
    urls, images = before.all("url") - after.all("url"), before.all(KEY) - after.all(KEY)
    return Sought(ids, frozenset(texts), frozenset(urls), frozenset(images))


def _report(ids: frozenset[str], before: _Records, after: _Records, *, forgotten: SuppressionList) -> Forgetting:
    posts, images = len(before.posts) - len(after.posts), len(before.images) - len(after.images)
    masked = dropped_row(MASKED)
    dropped = len(before.dropped) - before.dropped.count(masked) - len(after.dropped) + after.dropped.count(masked)
    here = {row["post_id"] for row in before.posts} | {row["record_id"] for row in before.dropped}
    absent = ids.difference(here, *before.versions())
    already = sum(record_id in forgotten for record_id in absent)
    return Forgetting(len(ids), posts, dropped, images, already, len(absent) - already)


def _stage(data: Dataset, before: _Records, after: _Records, *, forgotten: SuppressionList, out: Path) -> Manifest:
    """Write every file that changes below `out`. Returns the manifest of the dataset as it will be."""
    known, removed = data.manifest, before.all(KEY) - after.all(KEY)
    rewrite = Rewrite(data, replace(known, features=dict(known.features)), out)
    written = 0

    def on_progress(_feature: str, pictures: int, _total: int) -> None:
        nonlocal written
        written += pictures

    with watched("rows", None, lambda: written):
        rewrite.features(lambda _: removed, on_progress=on_progress)
    if after != before:
        _stage_records(rewrite, after)
    forgotten.write(out)
    rewrite.collect()
    return rewrite.manifest


def _stage_records(rewrite: Rewrite, after: _Records) -> None:
    data, out, known = rewrite.data, rewrite.out, rewrite.data.manifest
    after.write(out, shard_rules_of(known).posts)
    rewrite.replaced |= {n for n in known.files if n.startswith(("posts/", "dropped/part-", "images/")) or n == MAPPING}
    rewrite.manifest.counts = record_counts(out, Tallied.of(known.counts))
    rewrite.manifest.notes = notes_of(rewrite.manifest)
    _write_mapping(data, after, out)
    shown = after.all(KEY)
    for name in data.names("images/crawl-"):
        stay = [row for row in read_table(data.checked(name)).values() if row.image_sha256 in shown]
        write_table(file_in(out, name), stay, STABLE_SCHEMA)


def _write_mapping(data: Dataset, after: _Records, out: Path) -> None:
    """The hashtags of the posts that stay, with the keyphrases they had."""
    tags = [tag for post in after.posts for tag in post["hashtags"]]
    if tags and MAPPING in data.manifest.files:
        table = data.checked(MAPPING)
        keyphrase = read_mapping(table)
        publish_text(
            file_in(out, MAPPING), mapping_table(((tag, keyphrase[tag]) for tag in tags), stated_certainty(table))
        )
