"""Forgetting an edited post forgets all its versions: those that are here, and those that later dumps bring."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.suppression_list import SuppressionList, with_versions
from m3h.pipeline.records.trace_scan import Sought, traces
from m3h.schemas.dataset import Dataset
from m3h.schemas.posts import Dropped, Post
from tests.pipeline.cases import some
from tests.pipeline.fakes import WORDS, picture
from tests.pipeline.warm import Warm

VERSIONS = ("1001001", "1001002", "1001003")
RULES = ["--workers", 1, "--progress", "none", "--features", "none"]
RULES += ["--set", "clean.min_hashtag_count=1", "clean.near_text=0", "clean.unique_images=false"]


@pytest.mark.parametrize(
    ("named", "ids", "all_ids"),
    [
        ([], {"1"}, {"1"}),
        ([("1", "2"), ("3", "4")], {"2"}, {"1", "2"}),
        ([("3", "4"), ("2", "3"), ("1", "2")], {"1"}, {"1", "2", "3", "4"}),
        ([("1", "2"), ("1", "3")], {"9", "3"}, {"1", "2", "3", "9"}),
    ],
)
def test_a_chain_is_followed_to_its_ends(named: list[tuple[str, ...]], ids: set[str], all_ids: set[str]) -> None:
    assert with_versions(ids, named) == all_ids
    assert SuppressionList().having(ids).chains(named) == all_ids & {*chain(*named)}


def test_a_record_is_on_the_list_by_any_version_that_it_names() -> None:
    forgotten = SuppressionList().having(["1"])
    assert forgotten.holds(Post("3", "a", versions=("1", "2", "3")))
    assert forgotten.holds(Dropped("read", "withheld", "3", versions=("1", "3")))
    assert not forgotten.holds(Post("3", "a", versions=("2", "3")))


def status(record_id: str, i: int, **more: Any) -> str:
    text = f"the {WORDS[i]} and the {WORDS[i + 1]} by the {WORDS[i + 5]} were lovely #river"
    media = [{"type": "photo", "media_url_https": f"https://example.org/p{i % 3}.jpg", "url": "https://t.co/x"}]
    record = {"id_str": record_id, "full_text": text, "lang": "en", "user": {}, "entities": {"media": media}}
    return json.dumps(record | more)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump for each version, behind a post of somebody else; a version knows of those before it."""
    folder = tmp_path_factory.mktemp("source")
    for i, record_id in enumerate(VERSIONS):
        picture(folder / "images" / f"p{i}.jpg", seed=i)
        edits = {"edit_control": {"edit_tweet_ids": list(VERSIONS[: i + 1])}}
        lines = [status(f"200200{i}", i), status(record_id, i + 3, **edits)]
        (folder / f"version{i + 1}.jsonl").write_text("\n".join(lines))
        withheld = status(record_id, i + 3, **edits, withheld_copyright=True)
        (folder / f"withheld{i + 1}.jsonl").write_text("\n".join([status(f"300300{i}", i + 6), withheld]))
    return folder


def build(m3h: Warm, dataset: Path, source: Path, names: list[str]) -> None:
    dumps = [source / f"{name}.jsonl" for name in names]
    m3h.must("build", "--dumps", *dumps, "--images", source / "images", "--dataset", dataset, *RULES)


def nothing_is_left(dataset: Path) -> bool:
    """No id of any version in any file, and no row that says where one stood."""
    data = Dataset(dataset)
    rows = [*data.posts.to_pylist(), *data.dropped.to_pylist()]
    assert traces(dataset, Sought(frozenset(VERSIONS))) == []
    assert [
        row for row in rows if row["position"] == 2 or row["versions"] or ".jsonl, 2" in row.get("detail", "")
    ] == []
    return verify(dataset).breaches == []


ORDERS = [
    (["version1"], ["version3", "version2"]),
    (["version2"], ["version1", "version3"]),
    (["version3"], ["version2", "version1"]),
    (["version1", "version3"], ["version2"]),
    (["version1", "version2", "version3"], []),
    (["version1", "withheld2"], ["version3"]),
    (["withheld3"], ["version1", "version2"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "later", "number"),
    some([(first, later, number) for first, later in ORDERS for number in (1, 2, 3)], 8),
    ids=lambda names: (
        "+".join(name.replace("version", "v") for name in names) or "nothing" if isinstance(names, list) else str(names)
    ),
)
def test_any_id_of_an_edited_post_forgets_all_of_it_for_good(
    m3h: Warm, source: Path, tmp_path: Path, first: list[str], later: list[str], number: int
) -> None:
    dataset = tmp_path / "dataset"
    build(m3h, dataset, source, first)
    (tmp_path / "ids.txt").write_text(VERSIONS[number - 1])
    said = m3h.must("forget", "--dataset", dataset, "--ids", tmp_path / "ids.txt", "--missing-ok", "--json")
    known = max(int(name[-1]) for name in first)  # the newest version that is here knows of all before it
    assert said.json["unknown"] == (number > known)
    assert said.json["posts"] + said.json["dropped"] == (len(first) if number <= known else 0)
    if number <= known:
        assert nothing_is_left(dataset)
    for name in later:
        build(m3h, dataset, source, [name])
        if number <= known or name == "version3":
            assert nothing_is_left(dataset)
    build(m3h, dataset, source, [*first, *later])
    kept = {row["post_id"] for row in Dataset(dataset).posts.to_pylist()}
    others = {f"{'200200' if name.startswith('v') else '300300'}{int(name[-1]) - 1}" for name in [*first, *later]}
    assert kept - set(VERSIONS) == others
    if number <= known or later:
        assert nothing_is_left(dataset)
