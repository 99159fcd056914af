"""What `forget` is given: what `ids` writes, tables with a header and further columns; what is no id is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from m3h.pipeline.dataset.suppression_list import FORGOTTEN_FILE
from m3h.schemas.dataset import Dataset
from tests.commands import files_of
from tests.pipeline.finished import differing
from tests.pipeline.made import POSTS_MADE, post_id
from tests.pipeline.warm import Said, Warm


@pytest.fixture
def forget(m3h: Warm, dataset: Path, tmp_path: Path) -> Callable[..., Said]:
    """Of a file of this text and name."""

    def run(text: str, name: str = "ids.txt", *more: str) -> Said:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return m3h.run("forget", "--dataset", dataset, "--ids", tmp_path / name, "--json", *more)

    return run


def is_gone(dataset: Path, *numbers: int) -> bool:
    """Whether these posts, and no others, have left."""
    left = set(Dataset(dataset).posts["post_id"].to_pylist())
    return left == {post_id(i) for i in range(1, POSTS_MADE + 1) if i not in numbers}


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl"])
def test_what_ids_writes_is_read(m3h: Warm, dataset: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"ids{suffix}"
    m3h.must("ids", "--dataset", dataset, "--out", out, "--split", "valid")
    wanted = [i for i in range(1, POSTS_MADE + 1) if post_id(i) in out.read_text()]
    assert 0 < len(wanted) < POSTS_MADE
    said = m3h.run("forget", "--dataset", dataset, "--ids", out, "--json")
    assert said.code == 0, said.printed
    assert (said.json["ids"], said.json["posts"], said.json["unknown"]) == (len(wanted), len(wanted), 0)
    assert is_gone(dataset, *wanted)


TABLES = {
    "a header and a further column": f"tweet_id,split\n{post_id(3)},train\n{post_id(5)},test\n",
    "the id in the second column": f"user,post_id,when\n12345,{post_id(3)},2019-06-20\n777,{post_id(5)},2019-06-21\n",
    "the column `id`": f'id,text\n{post_id(3)},"a day, by the sea"\n{post_id(5)},"two\nlines"\n',
    "one column with a header": f"id\n{post_id(3)}\n{post_id(5)}\n",
    "quotes": f'"post_id","split"\n"{post_id(3)}","train"\n"{post_id(5)}","train"\n',
    "a byte-order mark and Windows' line ends": f"\ufeffpost_id,split\r\n{post_id(3)},train\r\n{post_id(5)},train\r\n",
}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_with_a_header_is_read(forget: Callable[..., Said], dataset: Path, table: str) -> None:
    said = forget(TABLES[table], "ids.csv")
    assert said.code == 0, said.printed
    assert is_gone(dataset, 3, 5)


@pytest.mark.parametrize("key", ["post_id", "id", "id_str", "tweet_id"])
def test_objects_are_read_by_the_field_of_the_id(forget: Callable[..., Said], dataset: Path, key: str) -> None:
    lines = [json.dumps({"split": "train", key: post_id(i)}) for i in (3, 5)]
    said = forget("\n".join(lines), "ids.jsonl")
    assert said.code == 0, said.printed
    assert is_gone(dataset, 3, 5)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{post_id(3)}\nhttps://x.com/someone/status/{post_id(5)}\n", 2),
        (f"{post_id(3)}\n\n{post_id(5)} please\n", 3),
        (f"{post_id(3)},train\n{post_id(5)},train\n", 1),
        (f'{{"post_id": "{post_id(3)}"}}\n{{"split": "train"}}\n', 2),
        (f'{{"post_id": "{post_id(3)}"}}\n{{"post_id": "{post_id(5)}"\n', 2),
    ],
    ids=["a link", "words", "two columns without a header", "no id in an object", "half an object"],
)
def test_a_line_that_is_no_id_is_refused_by_its_number(
    forget: Callable[..., Said], dataset: Path, text: str, line: int
) -> None:
    before = files_of(dataset)
    said = forget(text)
    assert said.code == 2, said.printed
    (error,) = said.errors
    assert f"line {line}" in error
    assert differing(before, files_of(dataset)) == []


def test_when_none_of_the_ids_was_found_that_is_a_failure(forget: Callable[..., Said], dataset: Path) -> None:
    before = files_of(dataset)
    said = forget("7000001\n7000002\n")
    assert said.code == 1, said.printed
    assert len(said.errors) == 1
    assert [name for name in differing(before, files_of(dataset)) if "manifest" not in name] in ([], [FORGOTTEN_FILE])


def test_unless_they_may_be_missing(forget: Callable[..., Said], dataset: Path) -> None:
    said = forget("7000001\n7000002\n", "ids.txt", "--missing-ok")
    assert said.code == 0, said.printed
    assert is_gone(dataset)


def test_ids_that_were_forgotten_before_are_found(forget: Callable[..., Said], dataset: Path) -> None:
    assert forget(f"{post_id(3)}\n").code == 0
    again = forget(f"{post_id(3)}\n")
    assert again.code == 0, again.printed
    assert again.json["already"] == 1


def test_one_found_of_several_is_enough(forget: Callable[..., Said], dataset: Path) -> None:
    said = forget(f"7000001\n{post_id(3)}\n")
    assert said.code == 0, said.printed
    assert is_gone(dataset, 3)


def test_the_files_that_went_wrong_once(m3h: Warm, m3h_data: Path, dataset: Path, tmp_path: Path) -> None:
    """Their ids are of no post here, which may be; that they are ids is what matters."""
    for name, ids in (("ids.csv", 1), ("own.csv", 2), ("own.jsonl", 2)):
        copy = shutil.copytree(dataset, tmp_path / name)
        given = m3h_data / "cases" / "forget" / name
        said = m3h.run("forget", "--dataset", copy, "--ids", given, "--missing-ok", "--json")
        assert said.code == 0, said.printed
        assert (said.json["ids"], said.json["unknown"]) == (ids, ids)
