"""The relation of text and picture (Figure 9): a sheet to label by hand, and the scores of the labelled posts.

The two questions are those of Vempala and Preotiuc-Pietro (ACL 2019, "Categorizing and Inferring the Relationship
between the Text and Image of Twitter Posts"): is the text represented in the picture, and does the picture add meaning?
"""

import csv
import io
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from m3h.model.scoring.predictions import Record
from m3h.model.study.cases import copied_picture
from m3h.model.study.pages import write_page
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_text

QUESTIONS = ("text_is_represented", "image_adds")
RELATIONS = {
    (True, True): "text shown, picture adds",
    (True, False): "text shown, picture adds nothing",
    (False, True): "text not shown, picture adds",
    (False, False): "text not shown, picture adds nothing",
}
SAMPLED = 200
_ANSWERS = {"yes": True, "y": True, "1": True, "true": True, "no": False, "n": False, "0": False, "false": False}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a cell that a spreadsheet would compute."""


def write_sheet(dataset: Dataset, out: Path) -> dict[str, Any]:
    """Write `out`/sheet.csv and `out`/sheet.html, which shows each post and writes the same CSV file.

    The posts are at most SAMPLED of test, by the hash of their ids: the same each time. An earlier sheet.csv with
    answers in it is left alone.

    Raises:
        UsageError: test has no posts, or sheet.csv is there already.
    """
    if (out / "sheet.csv").exists():
        raise UsageError(
            f"{out / 'sheet.csv'} is there already. Give it with --labels once it is filled in, or remove it."
        )
    posts = dataset.split("test").select(["post_id", "text", "keyphrases"]).to_pylist()
    posts = sorted(posts, key=lambda post: sha256(post["post_id"].encode()).digest())[:SAMPLED]
    if not posts:
        raise UsageError(f"{dataset.folder}: no posts in split 'test'.")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["post_id", *QUESTIONS, "keyphrases", "text"])
    shown = []
    for post in posts:
        keyphrases = ";".join(post["keyphrases"] or [])
        writer.writerow([post["post_id"], "", "", _plain(keyphrases), _plain(post["text"])])
        picture, without = copied_picture(dataset, post["post_id"], out / "pictures")
        shown.append({**post, "picture": picture and f"pictures/{picture}", "without": without})
    publish_text(out / "sheet.csv", text.getvalue())
    title = "How text and picture belong together (Figure 9)"
    write_page(out / "sheet.html", "sheet.html.jinja", title=title, posts=shown, questions=QUESTIONS)
    return {"posts": len(posts), "sheet": str(out / "sheet.csv"), "page": str(out / "sheet.html")}


def _plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def read_sheet(path: Path) -> dict[str, str]:
    """Id of each labelled post -> its relation. A row without answers is left out.

    Raises:
        UsageError: the file cannot be read, an answer is neither yes nor no, one of two is missing, or a post has
            two rows with different answers.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--labels {path}: expected the filled-in sheet.csv of fig9 ({error}).") from error
    if not rows or not {"post_id", *QUESTIONS}.issubset(rows[0]):
        raise UsageError(f"--labels {path}: expected the columns post_id, {' and '.join(QUESTIONS)}.")
    found: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        given = [(row[question] or "").strip().lower() for question in QUESTIONS]
        if not any(given):
            continue
        if wrong := [answer for answer in given if answer not in _ANSWERS]:
            raise UsageError(f"--labels {path}, row {number}: expected yes or no for both, found '{wrong[0]}'.")
        relation = RELATIONS[_ANSWERS[given[0]], _ANSWERS[given[1]]]
        if found.setdefault(row["post_id"], relation) != relation:
            raise UsageError(f"--labels {path}, row {number}: post {row['post_id']} has other answers in a row before.")
    if not found:
        raise UsageError(f"--labels {path}: no row is filled in. Write yes or no into {' and '.join(QUESTIONS)}.")
    return found


def check_posts(relations: Mapping[str, str], dataset: Dataset, path: Path) -> list[str]:
    """Which labelled posts are not in test; nothing can be scored for them.

    Raises:
        UsageError: none is in test.
    """
    test = set(dataset.split("test").column("post_id").to_pylist())
    others = [post for post in relations if post not in test]
    if len(others) == len(relations):
        raise UsageError(
            f"--labels {path}: none of its posts is in test of {dataset.folder}; the first is '{others[0]}'. "
            "A spreadsheet rounds long ids: import the column post_id as text."
        )
    return others


def by_relation(records: Sequence[Record], relations: Mapping[str, str]) -> dict[str, list[Record]]:
    """Relation -> the records of its posts, in the order of RELATIONS; relations without a post are left out."""
    groups: dict[str, list[Record]] = {relation: [] for relation in RELATIONS.values()}
    for record in records:
        if record.post_id in relations:
            groups[relations[record.post_id]].append(record)
    return {relation: own for relation, own in groups.items() if own}
