"""Law 3, tried: whatever byte changes, whatever file is lost, added or exchanged, `verify` finds it and names it.

And the other laws where somebody took the trouble to make every hash agree.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.derived import DERIVED
from m3h.pipeline.dataset.publish import file_entry
from m3h.pipeline.dataset.tables import IMAGE_LIST_PATTERN
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.images.store import image_path
from m3h.schemas.files import publish_json, publish_table, read_json, sha256_file
from m3h.schemas.manifest import MANIFEST, MANIFEST_HASH, FileEntry, Manifest
from tests.pipeline.made import VERSIONS, image_of, make, picture_bytes

OLD, NEW, WORDS = (version for _, version in VERSIONS)
FEW = range(1, 10)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine posts, two features, three versions; whoever changes it changes it back."""
    return make(tmp_path_factory.mktemp("small") / "dataset", FEW)


@pytest.fixture
def few(small: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return shutil.copytree(small, tmp_path / "dataset")


def files(dataset: Path) -> list[Path]:
    """All but those that may be edited: card.md and croissant.json."""
    return sorted(path for path in dataset.rglob("*") if path.is_file() and path.name not in DERIVED)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """One bit of one byte changed, the end cut off, or a byte put in or taken out."""
    at = chance.randrange(len(data))
    kind = chance.randrange(6)
    if kind < 3:
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
    if kind == 3:
        return data[:at]
    return data[:at] + (bytes([chance.randrange(256)]) + data[at:] if kind == 4 else data[at + 1 :])


@contextmanager
def holding(contents: Mapping[Path, bytes | None]) -> Iterator[None]:
    """Files with other bytes for a while, or, with None, gone."""
    before = {path: path.read_bytes() for path in contents}
    for path, data in contents.items():
        path.unlink() if data is None else path.write_bytes(data)
    try:
        yield
    finally:
        for path, data in before.items():
            path.write_bytes(data)


def is_told(dataset: Path, path: Path) -> bool:
    """Whether what `verify` says of a dataset names this file."""
    return any(path.name in breach for breach in verify(dataset).breaches)


def overlooked(dataset: Path, times: int, seed: int) -> list[tuple[str, int]]:
    """What `verify` did not name, of so many random changes, one at a time."""
    chance = random.Random(seed)
    found = []
    for number in range(times):
        path = chance.choice(files(dataset))
        data = path.read_bytes()
        spoilt = damaged(data, chance)
        with holding({path: spoilt}):
            if spoilt != data and not is_told(dataset, path):
                found.append((path.name, number))
    return found


def test_random_changes_are_all_found_and_named(small: Path) -> None:
    assert overlooked(small, 30, seed=1) == []
    assert verify(small).breaches == []


@pytest.mark.slow
def test_a_thousand_random_changes_are_all_found_and_named(small: Path) -> None:
    assert overlooked(small, 1200, seed=2) == []
    assert verify(small).breaches == []


@pytest.mark.slow
def test_every_byte_of_the_hash_file_counts(small: Path) -> None:
    path = small / MANIFEST_HASH
    data = path.read_bytes()
    for at in range(len(data)):
        for spoilt in (data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:at] + b"\n" + data[at:]):
            with holding({path: spoilt}):
                assert is_told(small, path), spoilt


def test_every_lost_file_is_named(small: Path) -> None:
    for path in files(small)[::2]:
        with holding({path: None}):
            assert is_told(small, path), path


def test_files_that_changed_places_are_both_named(small: Path) -> None:
    found = [path for path in files(small) if path.name not in (MANIFEST, MANIFEST_HASH)]
    for one, other in list(pairwise(found))[::2]:
        if one.read_bytes() == other.read_bytes():
            continue
        with holding({one: other.read_bytes(), other: one.read_bytes()}):
            breaches = "\n".join(verify(small).breaches)
        assert str(one) in breaches
        assert str(other) in breaches


STRAYS = [
    "x",
    ".hidden",
    ".builder",
    ".build-other.json",
    ".building/x",
    ".tmp-0-x",
    "posts/part-00009-of-00010.parquet",
    "posts/.part",
    "dropped/grid-0000000000000000.parquet",
    "features/grid/x",
    f"features/grid/{NEW}/shard-00007-of-00008.h5",
    f"features/grid/{'e' * 16}/shard-00000-of-00001.h5",
    "images/aa/x.jpg",
    "images/crawl-0-00.parquet",
]


@pytest.mark.parametrize("name", STRAYS)
def test_an_added_file_is_named(few: Path, name: str) -> None:
    (few / name).parent.mkdir(parents=True, exist_ok=True)
    (few / name).write_bytes(b"")
    assert verify(few).breaches == [f"{few / name}: not in the manifest."]


def test_links_and_pipes_are_files_too_and_what_is_derived_is_none(few: Path) -> None:
    (few / "posts" / "link").symlink_to("nowhere")
    (few / "images" / "all").symlink_to("..")
    os.mkfifo(few / "features" / "pipe")
    for name in DERIVED:
        (few / name).write_text("made of the rest")
    assert [breach.partition(":")[0] for breach in verify(few).breaches] == [
        str(few / name) for name in ("features/pipe", "images/all", "posts/link")
    ]


def test_a_stored_picture_that_nobody_shows_is_named_unless_a_build_is_about_to_list_it(few: Path) -> None:
    picture = image_path(few, image_of(15))
    picture.parent.mkdir(exist_ok=True)
    picture.write_bytes(picture_bytes(15))
    assert verify(few).breaches == [f"{picture}: not in the manifest."]
    Workspace(few).begin({"some": "build"})
    assert verify(few).breaches == []
    picture.write_bytes(b"not what its name says")
    assert verify(few).breaches == [f"{picture}: not in the manifest."]


# the laws, where all hashes agree


def agree(dataset: Path) -> None:
    """Let the manifest describe the files as they are now."""
    manifest = Manifest.read(dataset)
    for name, entry in manifest.files.items():
        path = dataset / name
        manifest.files[name] = file_entry(path) if path.suffix == ".parquet" else FileEntry.of(path, entry.rows)
    manifest.write(dataset)


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    table = pq.read_table(path)
    publish_table(path, pa.Table.from_pylist(change(table.to_pylist()), schema=table.schema))


def first(dataset: Path, pattern: str) -> Path:
    return sorted(dataset.glob(pattern))[0]


def lose_a_post(dataset: Path) -> None:
    rewrite(first(dataset, "posts/*"), lambda rows: rows[1:])


def lose_a_dropped_record(dataset: Path) -> None:
    rewrite(first(dataset, "dropped/part-*"), lambda rows: rows[1:])


def give_another_reason(dataset: Path) -> None:
    rewrite(first(dataset, "dropped/part-*"), lambda rows: [{**rows[0], "reason": "notice"}, *rows[1:]])


def lose_a_row(dataset: Path) -> None:
    rewrite(first(dataset, f"features/words/{WORDS}/shard-*"), lambda rows: rows[1:])


def give_a_row_to_another_picture(dataset: Path) -> None:
    rewrite(
        first(dataset, f"features/words/{WORDS}/shard-*"),
        lambda rows: [{**rows[0], "image_sha256": image_of(19)}, *rows[1:]],
    )


def exchange_shards(dataset: Path) -> None:
    one, other = sorted(dataset.glob(f"features/grid/{NEW}/shard-*"))[:2]
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def put_rows_of_the_other_version(dataset: Path) -> None:
    shutil.copyfile(
        first(dataset, f"features/grid/{OLD}/shard-00000*"), first(dataset, f"features/grid/{NEW}/shard-00000*")
    )


def put_words_of_no_version(dataset: Path) -> None:
    path = first(dataset, f"features/words/{WORDS}/shard-*")
    publish_table(path, pq.read_table(path).replace_schema_metadata())


def put_another_feature(dataset: Path) -> None:
    path = first(dataset, f"features/words/{WORDS}/shard-*")
    publish_table(path, pq.read_table(path).rename_columns(["image_sha256", "labels", "boxes"]))


def describe_another_setting(dataset: Path) -> None:
    path = dataset / f"features/grid/{NEW}/feature.json"
    publish_json(path, {**read_json(path), "parts": {"seed": 7}})


def move_a_post_to_another_split(dataset: Path) -> None:
    """Posts 3 and 4 show the same picture."""
    for path in dataset.glob("posts/*"):
        rewrite(
            path,
            lambda rows: [
                {**row, "own_split": False, "split": "test" if row["image_sha256"] == image_of(3) and
                 row["group"] == row["post_id"] else row["split"]} for row in rows
            ],
        )  # fmt: skip


def rename_a_group(dataset: Path) -> None:
    for path in dataset.glob("posts/*"):
        rewrite(path, lambda rows: [{**row, "group": row["post_id"]} for row in rows])


def shorten_a_post(dataset: Path) -> None:
    rewrite(
        first(dataset, "posts/*"),
        lambda rows: [{**rows[0], "tokens": rows[0]["tokens"][:2], "own_split": False}, *rows[1:]],
    )


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (lose_a_post, "13 records read, but 8 kept and 4 dropped: records were lost"),
        (lose_a_dropped_record, "13 records read, but 9 kept and 3 dropped: records were lost"),
        (give_another_reason, "the files hold"),
        (lose_a_row, "its images are not those of its slice"),
        (give_a_row_to_another_picture, "its images are not those of its slice"),
        (exchange_shards, "its images are not those of its slice"),
        (put_rows_of_the_other_version, f"its rows are of {OLD}, it lies under {NEW}"),
        (put_words_of_no_version, f"its rows are of no fingerprint, it lies under {WORDS}"),
        (put_another_feature, "it holds {'labels'"),
        (describe_another_setting, f"not {NEW}"),
        (move_a_post_to_another_split, "stands in test, train"),
        (rename_a_group, "groups of near copies, such as that of post"),
        (shorten_a_post, "against clean.min_tokens"),
    ],
)
def test_a_breach_of_a_law_is_found_although_all_hashes_agree(
    few: Path, change: Callable[[Path], None], breach: str
) -> None:
    change(few)
    agree(few)
    assert [one for one in verify(few).breaches if breach in one], verify(few).breaches


WITHOUT_SHARDS = {"rows": 0, "dropped": {}, "shards": [], "slices": [], "parts": {"seed": 3}}


@pytest.mark.parametrize(
    ("place", "name", "value", "breach"),
    [
        (("counts",), "read", 12, "12 records read, but 9 kept and 4 dropped"),
        (("counts",), "splits", {"train": 9, "valid": 0, "test": 0}, "the files hold"),
        (("features", "grid"), "current", "e" * 16, "features.grid.current: expected one of its versions"),
        (("features", "grid", "versions", NEW), "rows", 5, "the manifest says 5"),
        (("features", "grid", "versions", NEW), "dropped", {}, "images without one, the manifest says"),
        (("features", "grid", "versions", NEW), "shards", [], "slices: expected one for each of the 0 shards"),
        (("features", "grid", "versions"), NEW, WITHOUT_SHARDS, "its shards are not the files"),
        (("features", "grid", "versions", NEW), "parts", {"seed": 9}, "what it describes is"),
        (
            ("features",),
            "grid",
            {"current": "", "versions": {}, "history": []},
            "current: expected one of its versions",
        ),
        ((), "features", {}, "belongs to no version"),
        (("files", "images/images-00000-of-00002.parquet"), "rows", 2, "4 rows, the manifest says 2"),
        (("files", "images/images-00000-of-00002.parquet"), "bytes", 3, "bytes, the manifest says 3"),
        ((), "files", {"../outside": {"sha256": "", "bytes": 0, "rows": 0}}, "lies outside the dataset"),
        ((), "features", 7, "not what a build writes"),
        (("config",), "clean", {"min_tokens": "many"}, "the configuration in the manifest: min_tokens"),
    ],
)
def test_a_manifest_that_contradicts_the_files_is_found_although_its_hash_agrees(
    few: Path, place: tuple[str, ...], name: str, value: Any, breach: str
) -> None:
    raw = read_json(few / MANIFEST)
    found = raw
    for step in place:
        found = found[step]
    found[name] = value
    publish_json(few / MANIFEST, raw)
    (few / MANIFEST_HASH).write_text(f"{sha256_file(few / MANIFEST)}  {MANIFEST}\n")
    assert [one for one in verify(few).breaches if breach in one], verify(few).breaches


@pytest.mark.parametrize(
    "name",
    ["posts/*", "dropped/part-*", "dropped/grid-*", IMAGE_LIST_PATTERN, "features/grid/*/shard*", "features/words/*/*"],
)
@pytest.mark.parametrize("data", [b"", b"PAR1 and then anything"])
def test_what_is_no_such_file_is_found_although_all_hashes_agree(few: Path, name: str, data: bytes) -> None:
    path, manifest = first(few, name), Manifest.read(few)
    path.write_bytes(data)
    manifest.files[path.relative_to(few).as_posix()] = FileEntry.of(path)
    manifest.write(few)
    assert not verify(few).ok
