"""`forget`: posts, and all that is theirs alone, leave a finished dataset; then every file is searched for traces.

What stays waits beside the dataset until it is complete. From then on a killed command only has to be carried on.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.absence import Names, Sought, traces
from pipeline.crawl.ledger import STABLE_SCHEMA, read_table, write_table
from pipeline.forgotten import MASKED, Forgotten, read_forgotten
from pipeline.hashtags import mapping_table, read_mapping, stated_certainty
from pipeline.parts import DROPPED, DROPPED_PER_FILE, IMAGE_LIST, IMAGES, POSTS
from pipeline.publish import DERIVED, MAPPING, file_entry, notes_of, record_counts, remove_unlisted
from pipeline.reslice import without
from pipeline.stages.doors import age
from pipeline.state import BuildState
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.files import publish_json, publish_text, read_json
from schemas.manifest import FileEntry, Manifest
from schemas.posts import Post, dropped_row
from schemas.shards import KEY

Row = dict[str, Any]

SOMEONE = "a forgotten post"
"""What stands where the row of something else named one: the detail of a dropped record, a picture's file."""


@dataclass(frozen=True)
class Forgetting:
    """ids: asked for. posts, dropped: records that left; images: pictures and their rows in every feature.

    already, unknown: ids that had left before, or never were here. traces: where something still stands.
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
    """Forget the records of these ids, and keep them out from now on. Killed anywhere, the same call finishes.

    UsageError where an unfinished build lies in the folder; IntegrityError where a file is not what it was.
    """
    if not dataset.is_dir():
        raise UsageError(f"{dataset}: no such dataset folder.")
    state = BuildState(dataset)
    done, rest = Forgetting(), set(ids)
    if state.forgetting.is_file():  # of a call that was killed
        rest -= set(read_json(state.forgetting)["sought"]["ids"])
        done = _carry_out(state)
    if rest and not done.traces:
        _prepare(state, frozenset(rest))
        done += _carry_out(state)
    return done


def _prepare(state: BuildState, ids: frozenset[str]) -> None:
    """Write all that stays into the waiting folder, and then what is to be done with it."""
    with state.locked():
        state.refuse_unfinished()
        state.sweep()
        state.forget_records()
        data = Dataset(state.dataset)
        forgotten = read_forgotten(state.dataset, data.manifest)
        before = _Records(data.posts.to_pylist(), data.dropped.to_pylist(), data.images.to_pylist())
        after = before.without(ids)
        manifest = _stage(data, before, after, forgotten.having(ids), state.next)
        steps = {
            "sought": _sought(ids, before, after).as_json(),
            "manifest": asdict(manifest),
            "report": vars(_report(ids, before, after, forgotten)),
        }
        publish_json(state.forgetting, steps)


def _carry_out(state: BuildState) -> Forgetting:
    """Put what waits in its place, remove the rest, and look for traces. Any step may be done twice."""
    with state.locked():
        state.sweep()
        steps = read_json(state.forgetting)
        manifest = Manifest.of(steps["manifest"])
        state.install()
        manifest.write(state.dataset)
        remove_unlisted(state.dataset, manifest)
        for name in DERIVED:  # written from records that are gone
            (state.dataset / name).unlink(missing_ok=True)
        report = Forgetting(**{**steps["report"], "traces": ()})
        if found := traces(state.dataset, Sought.of(steps["sought"])):
            return replace(report, traces=tuple(found))
        state.finish()
    return report


@dataclass(frozen=True)
class _Records:
    """The rows of the three tables."""

    posts: list[Row]
    dropped: list[Row]
    images: list[Row]

    def without(self, ids: frozenset[str]) -> "_Records":
        """What stays: of each forgotten record a masked row, and of the pictures those that a post still shows."""
        posts = [post for post in self.posts if post["post_id"] not in ids]
        dropped = [row for row in self.dropped if row["record_id"] not in ids]
        gone = len(self.posts) + len(self.dropped) - len(posts) - len(dropped)
        shown = {post[KEY] for post in posts}
        return _Records(
            _regrouped(posts, ids),
            [*_without_names(dropped, ids, ("detail",)), *([dropped_row(MASKED)] * gone)],
            _without_names([row for row in self.images if not gone or row[KEY] in shown], ids, ("path", "url")),
        )

    def write(self, out: Path, posts_per_part: int) -> None:
        """As a build would."""
        POSTS.write_parts(out, self.posts, posts_per_part)
        DROPPED.write_parts(out, self.dropped, DROPPED_PER_FILE)
        if self.images:
            IMAGES.write(out / IMAGE_LIST, self.images)

    def all(self, column: str) -> set[str]:
        """The images' values of a column, but for empty ones."""
        return {row[column] for row in self.images if row[column]}


def _regrouped(posts: list[Row], ids: Collection[str]) -> list[Row]:
    """A group is named after its first post: where that one is forgotten, after the first one left."""
    heirs: dict[str, Post] = {}
    for row in posts:
        if row["group"] in ids:
            post = Post(row["post_id"], "", source=row["source"], position=row["position"])
            heirs[row["group"]] = min(heirs.get(row["group"], post), post, key=age)
    return [{**row, "group": heirs[row["group"]].post_id} if row["group"] in heirs else row for row in posts]


def _without_names(rows: list[Row], ids: frozenset[str], columns: Collection[str]) -> list[Row]:
    """Rows of others without the forgotten ids that some columns name, such as of the post that one repeated."""
    names = Names(ids)

    def masked(value: Any) -> Any:
        return (SOMEONE if value in ids else names.masked(value, SOMEONE)) if isinstance(value, str) else value

    return [row | {column: masked(row[column]) for column in columns} for row in rows]


def _sought(ids: frozenset[str], before: _Records, after: _Records) -> Sought:
    """What must be nowhere afterwards: what only the forgotten records had."""
    texts = {post["text"] for post in before.posts} - {post["text"] for post in after.posts} - {""}
    urls, images = before.all("url") - after.all("url"), before.all(KEY) - after.all(KEY)
    return Sought(ids, frozenset(texts), frozenset(urls), frozenset(images))


def _report(ids: frozenset[str], before: _Records, after: _Records, forgotten: Forgotten) -> Forgetting:
    posts = [post["post_id"] for post in before.posts if post["post_id"] in ids]
    dropped = [row["record_id"] for row in before.dropped if row["record_id"] in ids]
    strangers = ids.difference(posts, dropped)
    already = sum(one in forgotten for one in strangers)
    images = len(before.images) - len(after.images)
    return Forgetting(len(ids), len(posts), len(dropped), images, already, len(strangers) - already)


def _stage(data: Dataset, before: _Records, after: _Records, forgotten: Forgotten, out: Path) -> Manifest:
    """Write below `out` every file that will be another one. Returns the manifest of the dataset to be."""
    known, gone = data.manifest, before.all(KEY) - after.all(KEY)
    manifest = replace(known, features={name: dict(feature) for name, feature in known.features.items()})
    replaced: set[str] = set()
    rows: dict[str, int] = {}
    for name, feature in manifest.features.items():
        versions: Mapping[str, Any] = feature["versions"]
        left = {version: without(data, name, version, gone, out) for version in versions}
        feature["versions"] = {v: new.version() if (new := left[v]) else versions[v] for v in versions}
        for version, new in left.items():
            if new:
                new.write_dropped(out)
                replaced |= {*versions[version]["shards"], new.dropped_file}
                rows |= {receipt.file: receipt.rows for receipt in new.receipts}
    if after != before:
        after.write(out, known.config["shards"]["posts"])
        replaced |= {n for n in known.files if n.startswith(("posts/", "dropped/part-", "images/")) or n == MAPPING}
        manifest.counts = record_counts(out, known.counts["read"])
        manifest.notes = notes_of(manifest)
        _write_mapping(data, after, out)
        shown = after.all(KEY)
        for name in data.names("images/crawl-"):
            stay = [row for row in read_table(data.checked(name)).values() if row.image_sha256 in shown]
            write_table(out / name, stay, STABLE_SCHEMA)
    forgotten.write(out)
    staged = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    manifest.files = {name: entry for name, entry in known.files.items() if name not in replaced}
    manifest.files |= {
        name: FileEntry.of(path, rows[name]) if name in rows else file_entry(path) for name, path in staged.items()
    }
    return manifest


def _write_mapping(data: Dataset, after: _Records, out: Path) -> None:
    """The hashtags of the posts that stay, with the keyphrases they had."""
    tags = [tag for post in after.posts for tag in post["hashtags"]]
    if tags and MAPPING in data.manifest.files:
        table = data.checked(MAPPING)
        keyphrase = read_mapping(table)
        publish_text(out / MAPPING, mapping_table(((tag, keyphrase[tag]) for tag in tags), stated_certainty(table)))
