"""What a run leaves behind: one truth in Beam's counters, the progress, the summary and the manifest."""

import json
from pathlib import Path
from typing import Any

import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.run_history import MAX_RUNS, SUMMARY, remember_run
from m3h.schemas.manifest import Manifest
from tests.commands import files_of, run
from tests.pipeline.fakes import small_dump

RULES = ("--set", "clean.min_hashtag_count=2", "shards.images=4", "features.vgg_grid.weights=random")


def build(dump: Path, images: Path, dataset: Path, *words: object) -> Any:
    done = run("pipeline", "build", "--dumps", dump, "--images", images, "--dataset", dataset, *RULES, *words)
    assert done.code == 0, done.err
    return done


def summary_of(dataset: Path) -> Any:
    done = run("pipeline", "summary", "--dataset", dataset, "--json")
    assert done.code == 0, done.err
    return done.json


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, str]:
    """A dump with a post for several of the stages, its pictures, the dataset, and what the build wrote on stderr."""
    folder = tmp_path_factory.mktemp("world")
    dump, images = small_dump(folder, posts=12)
    broken = [
        '{"id": 1, "text": "the", "hashtags": []}',
        "nonsense",
        json.dumps({"id": 2, "text": "a boat on the sea #x", "image": "gone.jpg", "lang": "en"}),
    ]
    short = json.dumps({"id": 3, "text": "hm #taga", "image": "p1.jpg", "lang": "en"})
    rare = json.dumps({"id": 4, "text": "the one and only #word of all", "image": "p2.jpg", "lang": "en"})
    dump.write_text("\n".join([dump.read_text().strip(), *broken, short, rare]) + "\n")
    (images / "p7.jpg").write_bytes(b"none")
    done = build(dump, images, folder / "d", "--features", "ocr", "--workers", 2, "--progress", "json", "--json")
    assert done.json["read"] == 17
    return dump, images, folder / "d", done.err


def test_counters_summary_and_manifest_tell_the_same(world: tuple[Path, Path, Path, str]) -> None:
    _, _, dataset, _ = world
    counts, found = Manifest.read(dataset).counts, summary_of(dataset)
    assert found["counts"] == counts
    stages = {stage["stage"]: stage for stage in found["stages"]}
    steps = ["read", "text", "language", "image", "duplicates", "rare_hashtags", "split", "write"]
    assert list(stages) == [*steps, "ocr"]
    assert {stage: stages[stage]["dropped"] for stage in counts["dropped"]} == counts["dropped"]
    through, early = counts["read"], 1  # a post without a picture leaves before its text is read
    for stage in steps[:-1]:
        assert stages[stage]["rows"] == through - (early if stage in ("text", "language") else 0), stage
        through -= sum(stages[stage]["dropped"].values())
    assert through == counts["kept"]
    assert stages["write"]["rows"] == counts["read"]
    counters = found["counters"]
    for name, stage in stages.items():
        assert counters.get(f"{name}.rows", 0) == stage["rows"], name
        for reason, number in stage["dropped"].items():
            assert counters[f"{name}.dropped.{reason}"] == number


def test_the_summary_tells_time_memory_and_the_slowest_shards(world: tuple[Path, Path, Path, str]) -> None:
    found = summary_of(world[2])
    assert (found["command"], found["workers"], found["records"]) == ("build", 2, "read")
    assert found["peak_memory"]["processes"] >= 3  # the command and two workers
    assert found["peak_memory"]["bytes"] > 100 * 2**20
    ocr = found["features"]["ocr"]
    assert (ocr["computed"], ocr["copied"], ocr["taken_over"]) == (ocr["rows"], 0, 0)
    slowest = found["slowest_shards"]
    assert {shard["file"] for shard in slowest} <= set(Manifest.read(world[2]).files)
    assert [shard["seconds"] for shard in slowest] == sorted((shard["seconds"] for shard in slowest), reverse=True)
    assert sum(shard["images"] for shard in slowest) == ocr["rows"]
    assert all(stage["seconds"] >= 0 for stage in found["stages"])
    assert "apache-beam" in found["versions"]


def test_progress_for_programs_is_json_lines_on_stderr(world: tuple[Path, Path, Path, str]) -> None:
    kept = Manifest.read(world[2]).counts["kept"]
    lines = [json.loads(line) for line in world[3].splitlines() if line.startswith("{")]
    assert {line["event"] for line in lines} == {"progress", "summary"}
    last = {line["stage"]: line for line in lines if line["event"] == "progress"}
    assert (last["read"]["rows"], last["read"]["total"], last["read"]["dropped"]) == (17, 17, {"not_json": 1})
    assert (last["ocr"]["rows"], last["ocr"]["total"], last["ocr"]["left"]) == (kept, kept, 0)
    assert set(last["ocr"]) == {
        "event", "command", "seconds", "stage", "rows", "copied", "total", "rate", "left", "dropped",
    }  # fmt: skip
    assert lines[-1]["event"] == "summary"
    assert lines[-1]["counts"] == Manifest.read(world[2]).counts


def test_the_summary_is_no_part_of_the_dataset(world: tuple[Path, Path, Path, str]) -> None:
    dataset = world[2]
    assert (dataset / SUMMARY).is_file()
    assert SUMMARY not in Manifest.read(dataset).files
    assert verify(dataset).ok


def test_people_read_it_too(world: tuple[Path, Path, Path, str]) -> None:
    done = run("pipeline", "summary", "--dataset", world[2])
    assert done.code == 0
    assert "records read: read 17, kept " in done.out
    assert "  image: image_missing 1, image_not_jpeg 1, no_image 1\n" in done.out
    assert "slowest shards" in done.out
    assert done.out.startswith("build, 20")


@pytest.mark.slow
def test_a_resumed_run_says_what_it_took_over_and_an_addition_what_it_copied(
    world: tuple[Path, Path, Path, str], tmp_path: Path
) -> None:
    dump, images, dataset, _ = world
    before, kept = files_of(dataset), Manifest.read(dataset).counts["kept"]
    build(dump, images, dataset, "--workers", 1, "--progress", "none")
    again = summary_of(dataset)
    assert again["records"] == "taken over"
    assert again["stages"] == []
    assert again["features"]["ocr"]["taken_over"] == kept > 4
    assert again["features"]["ocr"]["shards"] == {"written": 0, "taken_over": -(-kept // 4)}
    assert again["slowest_shards"] == []
    assert files_of(dataset) == before

    later, pictures = small_dump(tmp_path, posts=16)
    later.write_text("\n".join(later.read_text().splitlines()[12:]) + "\n")
    later = later.rename(tmp_path / "later.jsonl")
    lines = tmp_path / "lines.jsonl"
    build(later, pictures, dataset, "--workers", 1, "--progress", lines)
    added = summary_of(dataset)["features"]["ocr"]
    more = Manifest.read(dataset).counts["kept"]
    assert added["computed"] + added["copied"] + added["taken_over"] == more > kept
    assert added["computed"] == more - kept, "what an earlier run knew was computed again"
    assert json.loads(lines.read_text().splitlines()[-1])["event"] == "summary"
    done = run("pipeline", "summary", "--dataset", dataset, "--all", "--json")
    assert [one["records"] for one in done.json] == ["read", "taken over", "read"]


def test_a_dataset_without_a_summary_says_so(tmp_path: Path) -> None:
    Manifest().write(tmp_path)
    done = run("pipeline", "summary", "--dataset", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "no summary of a run here" in done.error


def test_only_the_last_runs_are_remembered_and_a_damaged_file_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / SUMMARY
    file.write_text("[]")
    remember_run(tmp_path, {"number": 0})
    assert json.loads(file.read_text()) == {"runs": [{"number": 0}]}
    file.write_text(json.dumps({"runs": [{"number": number} for number in range(MAX_RUNS)]}))
    remember_run(tmp_path, {"number": MAX_RUNS})
    assert [one["number"] for one in json.loads(file.read_text())["runs"]] == list(range(1, MAX_RUNS + 1))
