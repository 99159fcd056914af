"""The files of a report: its numbers are those of `stats` and of the manifest, and no text of a post is markup."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from m3h.pipeline.checks.table1 import statistics
from m3h.pipeline.report.folder import Report, report
from m3h.pipeline.report.gallery import HAS
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.page.pictures import Pictures
from tests.pipeline.report.shown import DROPPED_SHOWN, HOSTILE, NUMBER, RANDOM, SHOWN_PICTURES, make


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("shown") / "harbour & sea")


@pytest.fixture(scope="module")
def made(dataset: Path) -> Report:
    names = dataset.parent / "names.txt"
    names.write_text("background\nboat,ship\n")
    return report(dataset, workers=2, names=names)


class Page(HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def script(path: Path) -> Any:
    """The last argument of the one call in a file."""
    text = path.read_text(encoding="ascii")
    return json.loads(re.fullmatch(r"m3h\.loaded\(\"\w+\",(?:\d+|\"\w+\"),(.*)\);\n", text)[1])  # type: ignore[index]


def test_the_numbers_on_the_page_are_those_of_stats_and_of_the_manifest(made: Report, dataset: Path) -> None:
    page, data = Page(made.page), Dataset(dataset)
    stated = statistics(data)
    cells = [float(attributes["data-value"] or "") for _, attributes in page.tags if "data-value" in attributes]
    columns = ("posts", "post_len", "keyphrases_per_post", "unique_keyphrases", "keyphrase_len", "present_pct", "vocab")
    assert cells == [stated[split][name] for split in ("train", "valid", "test") for name in columns]
    counts = data.manifest.counts
    assert f"{counts['read']} records read, {counts['kept']} posts kept" in page.text
    assert (made.posts, made.dropped, made.pictures) == (NUMBER, len(DROPPED_SHOWN), SHOWN_PICTURES)


def test_the_charts_hold_the_counts(made: Report, dataset: Path) -> None:
    text = (made.page.parent / "charts.js").read_text(encoding="ascii")
    charts = json.loads(text.splitlines()[0].removeprefix("const m3hCharts=").removesuffix(";"))
    rows = {name: chart["data"]["values"] for name, chart in charts.items()}
    read = NUMBER + len(DROPPED_SHOWN)
    assert [step["left"] for step in rows["funnel"]] == [read, read - 1, read - 2, read - 3, NUMBER]
    assert rows["keyphrases"] == [{"keyphrase": "calm sea", "posts": 300}, {"keyphrase": "<b>bold</b>", "posts": 150}]
    assert rows["together"][0] == {"one": "<b>bold</b>", "other": "calm sea", "posts": 150}
    assert rows["languages"] == [{"language": "en", "posts": 200}, {"language": "de", "posts": 100}]
    assert sum(row["posts"] for row in rows["lengths"]) == sum(row["posts"] for row in rows["months"]) == NUMBER
    assert rows["objects"] == [{"object": "boat", "pictures": 20}, {"object": "class 2", "pictures": 20}]
    assert rows["clusters"] == [{"posts": 15, "groups": 20}]


def test_every_post_is_in_one_part_and_the_index_says_what_it_has(made: Report, dataset: Path) -> None:
    folder = made.page.parent / "data"
    index, search = script(folder / "posts-index.js"), script(folder / "posts-search.js")
    parts = [script(path) for path in sorted(folder.glob("posts-0*.js"))]
    records = [record for part in parts for record in part["records"]]
    assert [record["post_id"] for record in records] == Dataset(dataset).posts["post_id"].to_pylist()
    assert [len(part["records"]) for part in parts] == [240, 60]
    assert [[index["names"][n] for n in phrases] for phrases in index["phrases"]] == [r["keyphrases"] for r in records]
    alt = HAS.index("description by the author")
    assert [bool(has >> alt & 1) for has in index["has"]] == [bool(record["alt"]) for record in records]
    assert search["pictures"][0].startswith("teapot w")
    facts = parts[0]["pictures"][records[0]["image_sha256"]]
    assert facts["size"] == [96, 64]
    assert facts["objects"] == [["boat", 5, 5, 50, 40, 0.0], ["class 2", 20, 10, 90, 60, 0.0]]
    assert facts["words"][0] == ["teapot", 4, 6, 30, 9]


def test_words_without_places_are_listed_all_the_same() -> None:
    pictures = Pictures({"a": {"words": ["mad", "tea"], "boxes": []}, "b": {"words": ["tea"], "boxes": [[1, 2, 3, 4]]}})
    assert pictures.facts("a") == {"words": [["mad"], ["tea"]]}
    assert pictures.facts("b") == {"words": [["tea", 1, 2, 3, 4]]}
    assert pictures.facts("c") == {}


def test_a_dropped_record_has_its_reason_in_words_and_its_picture_where_it_is_known(made: Report) -> None:
    folder = made.page.parent / "data"
    index, (first, *_, last) = script(folder / "dropped-index.js"), script(folder / "dropped-00000.js")["records"]
    assert index["reasons"][0] == "text: too_few_tokens"
    assert index["means"][0].startswith("The text has fewer tokens than clean.min_tokens")
    assert (first["detail"], first["image_sha256"]) == (HOSTILE, "")
    assert len(last["image_sha256"]) == 64


def test_a_hostile_text_is_text_and_every_name_is_relative(made: Report) -> None:
    page = Page(made.page)
    assert HOSTILE.split()[0] in page.text  # in a cluster
    assert "{{ 7 * 7 }}" in page.text
    assert [attributes.get("src") for tag, attributes in page.tags if tag == "script"] == ["charts.js", "report.js"]
    assert [name for _, attributes in page.tags for name in attributes if name.startswith("on")] == []
    links = [value or "" for _, a in page.tags for name, value in a.items() if name in ("src", "href")]
    assert [link for link in links if re.match(r"[a-z]+:|/", link) and link != "data:,"] == []
    assert all((made.page.parent / link).is_file() for link in links if link.partition("/")[0] == "thumbnails")


def test_random_weights_are_in_red(made: Report) -> None:
    text = made.page.read_text(encoding="utf-8")
    assert f'<p class="note random">{RANDOM}</p>' in text
    assert text.count('<tr class="random">') == 1


def test_thumbnails_are_made_once_and_those_of_pictures_that_left_go(made: Report, dataset: Path) -> None:
    folder = made.page.parent / "thumbnails"
    stray = folder / "aa" / f"{'a' * 64}.jpg"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"of a forgotten post")
    paths = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.jpg") if path != stray}
    with Image.open(next(iter(paths))) as small:
        assert small.size == (96, 64)
    report(dataset, workers=1)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/*.jpg")} == paths


def test_a_folder_with_other_files_and_the_dataset_itself_are_refused(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for place in (tmp_path, dataset / "report"):
        with pytest.raises(UsageError, match=r"--out .*(thesis\.tex|in the dataset)"):
            report(dataset, place, workers=1)
    with pytest.raises(UsageError, match="--class-names"):
        report(dataset, tmp_path / "r", workers=1, names=tmp_path / "none.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
