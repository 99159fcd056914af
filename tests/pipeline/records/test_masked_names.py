"""An id, a path and a hashtag that name a person are not stored, and all commands find the record by them."""

import json
from pathlib import Path

import pytest

from m3h.pipeline.images.store import image_path
from m3h.pipeline.records.trace_scan import Sought, traces
from m3h.pipeline.text.pii import stored_id
from m3h.schemas.dataset import Dataset
from m3h.schemas.shards import KEY
from tests.commands import files_of
from tests.pipeline.fakes import picture
from tests.pipeline.warm import Warm

JANE, FILE = "jane.doe@mail.com", "photos/jane.doe@mail.com.jpg"
RULES = ["--workers", 1, "--progress", "none", "--features", "none"]
RULES += ["--set", "clean.min_hashtag_count=1", "clean.near_text=0"]


@pytest.mark.slow
def test_a_record_named_after_a_person_is_found_repaired_added_to_and_forgotten(m3h: Warm, tmp_path: Path) -> None:
    picture(tmp_path / "images" / FILE, seed=1)
    picture(tmp_path / "images/b.jpg", seed=2)
    texts = ("the bridge and the river were lovely", "the garden and the window were quiet")
    tags = {"hashtags": ["river", JANE, "+44 20 7946 0958"]}
    records = [
        {"id": JANE, "text": texts[0], "image": FILE, "lang": "en", **tags},
        {"id": 7, "text": texts[1], "image": "b.jpg", "lang": "en", "hashtags": ["river"]},
    ]
    for name, record in zip("ab", records, strict=True):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(record))
    dataset = tmp_path / "dataset"

    def build(*names: str) -> None:
        dumps = [tmp_path / f"{name}.jsonl" for name in names]
        m3h.must("build", "--dumps", *dumps, "--images", tmp_path / "images", "--dataset", dataset, *RULES)

    build("a")
    (post,) = Dataset(dataset).posts.to_pylist()
    (row,) = Dataset(dataset).images.to_pylist()
    assert (post["post_id"], row["path"], post["hashtags"]) == (stored_id(JANE), "photos/<email>", ["river"])
    assert (dataset / "hashtags.tsv").read_text().count("\n") == 2
    assert m3h.must("why", "--dataset", dataset, "--id", JANE, "--json").json["found"][0]["fate"] == "kept"
    assert m3h.must("why", "--dataset", dataset, "--image", FILE, "--json").json["found"][0]["posts"] == [
        stored_id(JANE)
    ]

    before = files_of(dataset)
    image_path(dataset, row[KEY]).unlink()
    m3h.must("verify", "--dataset", dataset, "--repair")
    assert files_of(dataset) == before

    build("b")
    assert Dataset(dataset).images.num_rows == 2
    (tmp_path / "ids.txt").write_text(JANE)
    m3h.must("forget", "--dataset", dataset, "--ids", tmp_path / "ids.txt")
    build("a", "b")
    assert Dataset(dataset).posts["post_id"].to_pylist() == ["7"]
    assert traces(dataset, Sought(frozenset({JANE, stored_id(JANE)}), images=frozenset({row[KEY]}))) == []
