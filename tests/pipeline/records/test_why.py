"""`why`, `dropped` and `ids` on a small dataset made by hand and on the sample."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from m3h.pipeline.readers.dumps import DumpFile, read_dump
from m3h.pipeline.records.dropped import dropped_rows, write_raw
from m3h.pipeline.records.forget import forget
from m3h.pipeline.records.ids import write_ids
from m3h.pipeline.records.why import Records, why
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import Dropped
from tests.commands import ROOT, run
from tests.conftest import Built
from tests.pipeline.made import POSTS_MADE, VERSIONS, image_of, make, post_id

ALL = range(1, POSTS_MADE + 1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made") / "dataset", ALL)


def test_a_kept_post_is_told_with_its_group_and_its_rows(dataset: Path) -> None:
    (fate,) = why(dataset, post_id(4))
    assert fate["fate"] == "kept"
    assert (fate["split"], fate["group"]) == ("train", post_id(3))
    assert (fate["image_sha256"], fate["keyphrases"]) == (image_of(3), ["rain"])
    assert fate["group_with"] == [{"post_id": post_id(3), "through": "picture"}]
    assert why(dataset, post_id(5))[0]["group_with"] == [{"post_id": post_id(6), "through": "text"}]
    assert why(dataset, post_id(1))[0]["group_with"] == []
    assert [(row["feature"], row["fingerprint"], row["current"], row["row"]) for row in fate["features"]] == [
        ("grid", VERSIONS[0][1], False, True),
        ("grid", VERSIONS[1][1], True, True),
        ("words", VERSIONS[2][1], True, True),
    ]


def test_every_kept_post_has_its_rows_but_for_those_that_were_lost(dataset: Path) -> None:
    records = Records(Dataset(dataset))
    rows = {i: [row["row"] for row in records.of_id(post_id(i))[0]["features"]] for i in ALL}
    assert [i for i in ALL if not all(rows[i])] == [7, 8]
    lost = why(dataset, post_id(7))[0]["features"][0]
    assert (lost["row"], lost["reason"], lost["detail"]) == (False, "extractor_error", "Traceback")
    assert "bug in an extractor" in lost["means"]


def test_a_dropped_record_is_told_with_the_rule_and_its_value(dataset: Path) -> None:
    (fate,) = why(dataset, "2000001")
    assert fate == {
        "fate": "dropped", "stage": "text", "reason": "too_few_tokens", "detail": "3 tokens",
        "source": "v1:d.jsonl", "position": 31, "advice": "",
        "means": "The text has fewer tokens than clean.min_tokens, links and mentions counted.",
        "rules": {"clean.min_tokens": 4},
    }  # fmt: skip


def test_all_records_of_one_id_are_told(dataset: Path) -> None:
    assert [fate["fate"] for fate in why(dataset, post_id(9))] == ["kept", "dropped"]


def test_a_picture_is_told_by_hash_beginning_and_address(dataset: Path) -> None:
    (fate,) = why(dataset, image=image_of(3))
    assert fate["posts"] == [post_id(3), post_id(4)]
    assert Path(fate["file"]).is_file()
    assert why(dataset, image=image_of(3)[:8]) == [fate]
    assert why(dataset, image=fate["url"]) == [fate]
    assert why(dataset, image=image_of(3)[:7]) == []


def test_a_forgotten_post_is_told_as_such(dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "copy")
    forget(copy, [post_id(1)])
    (fate,) = why(copy, post_id(1))
    assert fate["fate"] == "forgotten"


def test_an_unknown_id_ends_with_1_and_the_nearest_known_one(dataset: Path) -> None:
    done = run("pipeline", "why", "--dataset", dataset, "--id", "10000014")
    assert (done.code, "Did you mean 100001" in done.out) == (1, True)
    assert run("pipeline", "why", "--dataset", dataset, "--id", "zzz", "--json").json["found"] == []
    assert run("pipeline", "why", "--dataset", dataset).code == 2


def test_people_are_told_in_lines(dataset: Path) -> None:
    done = run("pipeline", "why", "--dataset", dataset, "--id", "2000001")
    assert done.out.splitlines()[0] == "2000001: dropped"
    assert "  rule clean.min_tokens: 4" in done.out.splitlines()


def test_dropped_lists_by_reason_and_stage(dataset: Path) -> None:
    data = Dataset(dataset)
    assert [row["position"] for row in dropped_rows(data)] == [31, 32, 33, 34]
    assert [row["position"] for row in dropped_rows(data, stage="duplicates")] == [32, 34]
    assert [row["position"] for row in dropped_rows(data, ["not_json", "too_few_tokens"])] == [31, 33]
    with pytest.raises(UsageError, match=r"no reason named 'not_jsn'\. Did you mean 'not_json'"):
        dropped_rows(data, ["not_jsn"])
    done = run("pipeline", "dropped", "--dataset", dataset, "--stage", "duplicates", "--json").json
    assert (done["dropped"], [row["position"] for row in done["rows"]]) == (2, [32, 34])


def test_raw_records_come_back_and_can_be_read_again(tmp_path: Path) -> None:
    lines = [json.dumps({"id": i, "text": "t", "split": "train"}) for i in range(1, 6)]
    dump = tmp_path / "d.jsonl"
    dump.write_text("\n".join([lines[0], '{"id": 2, "te', *lines[1:], "", '["no object"]']) + "\n")
    dropped = [row for row in read_dump(DumpFile("d.jsonl", str(dump))) if isinstance(row, Dropped)]
    assert [(row.reason, row.position) for row in dropped] == [("not_json", 2), ("not_an_object", 8)]
    chosen = [*dropped, Dropped("text", "too_few_tokens", "4", dropped[0].source, 5), Dropped("forgotten", "forgotten")]
    data = _dataset(tmp_path, chosen, DumpFile("d.jsonl", str(dump)))
    written = write_raw(data, dropped_rows(data), [str(dump)], out=tmp_path / "out.jsonl")
    assert (written.records, written.lines, written.lost) == (3, 3, 1)
    assert (tmp_path / "out.jsonl").read_text().splitlines() == ['{"id": 2, "te', lines[3], '["no object"]']

    other = tmp_path / "other" / "d.jsonl"
    other.parent.mkdir()
    other.write_text("changed\n")
    with pytest.raises(UsageError, match="not the file that the dataset was built from"):
        write_raw(data, dropped_rows(data), [str(other)], out=tmp_path / "out.jsonl")
    with pytest.raises(UsageError, match=r"came from d\.jsonl"):
        write_raw(data, dropped_rows(data), [str(_copy(dump, tmp_path / "e.jsonl"))], out=tmp_path / "out.jsonl")


def _copy(path: Path, target: Path) -> Path:
    return Path(shutil.copy(path, target))


def _dataset(folder: Path, dropped: list[Dropped], dump: DumpFile) -> Dataset:
    data = make(folder / "dataset", [1], dropped)
    manifest = Manifest.read(data)
    manifest.inputs = [dump.identity()]
    manifest.write(data)
    return Dataset(data)


def test_ids_are_written_sorted_and_without_a_word(dataset: Path, tmp_path: Path) -> None:
    data = Dataset(dataset)
    everything = [post_id(i) for i in ALL]
    assert write_ids(data, tmp_path / "ids.txt") == 20
    assert (tmp_path / "ids.txt").read_text().splitlines() == everything
    write_ids(data, tmp_path / "ids.csv", "valid")
    head, *rows = (tmp_path / "ids.csv").read_text().splitlines()
    assert (head, rows[0], len(rows)) == ("post_id,split", "1000001,valid", 6)
    write_ids(data, tmp_path / "ids.jsonl")
    assert [json.loads(line)["post_id"] for line in (tmp_path / "ids.jsonl").read_text().splitlines()] == everything
    assert set(json.loads((tmp_path / "ids.jsonl").read_text().splitlines()[0])) == {"post_id", "split"}
    with pytest.raises(UsageError, match=r"\.txt, \.csv, \.jsonl"):
        write_ids(data, tmp_path / "ids.xml")


def test_every_planned_fate_of_the_sample_is_told(sample: Built, expected: dict[str, Any]) -> None:
    records = Records(Dataset(sample.folder))
    for post, _reason in expected["dropped_posts"].items():
        fates = [fate for fate in records.of_id(post) if fate["fate"] == "dropped"]
        assert fates, post
        assert fates[0]["means"]
    some = list(expected["posts"])[::60]
    assert {fate["fate"] for post in some for fate in records.of_id(post)} == {"kept"}


def test_the_samples_broken_lines_come_back_as_they_stand(sample: Built, tmp_path: Path) -> None:
    dumps = (ROOT / "sample" / "dump_v1.jsonl.gz", ROOT / "sample" / "dump_plain.jsonl")
    done = run(
        *("pipeline", "dropped", "--dataset", sample.folder, "--reason", "not_json", "--json"),
        *("--dumps", *dumps, "--out", tmp_path / "broken.jsonl"),
    )
    assert done.json["written"] == {"records": 2, "lines": 2, "lost": 0}
    plain = dumps[1].read_bytes().splitlines()
    assert set((tmp_path / "broken.jsonl").read_bytes().splitlines()) & set(plain)
