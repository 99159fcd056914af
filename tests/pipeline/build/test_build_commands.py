"""`build` and its neighbours as programs: JSON on stdout, one error line, exit codes."""

import gzip
import json
from pathlib import Path

import pytest

from m3h.schemas.dataset import Dataset
from tests.commands import files_of, run
from tests.pipeline.fakes import small_dump

ALONE = ("--features", "none", "--workers", 1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return small_dump(tmp_path_factory.mktemp("source"), posts=4)


def test_without_a_folder_of_pictures_is_wrong_use(source: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("pipeline", "build", "--dumps", source[0], "--dataset", tmp_path / "d", *ALONE)
    assert (done.code, done.out) == (2, "")
    assert done.error == (
        "error: --images, --crawl: no dump holds pictures, so they need a folder with them, or leave to fetch them."
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--dumps", "nowhere.jsonl"], "--dumps nowhere.jsonl: no such file, folder or match."),
        (["--features", "vgg_gird"], "no extractor named 'vgg_gird'. Did you mean 'vgg_grid'? Known: "),
        (["--set", "clean.min_tokns=3"], "--set: no field 'clean.min_tokns'. Did you mean 'clean.min_tokens'?"),
        (["--format", "v9"], "--format v9: expected one of v2, bluesky, mastodon, "),
        (["--set", "features.vgg_grid.weights=lost.pth", "--features", "vgg_grid"], "weights lost.pth"),
        (["--set", "features.ocr.language=xyz", "--features", "ocr"], "Tesseract has no language 'xyz'"),
        (["--unheard-of"], "No such option: --unheard-of"),
        (["--", "--runner=DaskRunner"], "--runner=DaskRunner: refused, it loses rows"),
        (["--", "--runer=FlinkRunner"], "--runer: Beam has no such flag. Did you mean --runner?"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    source: tuple[Path, Path], tmp_path: Path, words: list[str], error: str
) -> None:
    dump, images = source
    given = [] if "--dumps" in words else ["--dumps", dump]
    features = [] if "--features" in words else ["--features", "none"]
    base = ["build", *given, "--images", images, "--dataset", tmp_path / "d", *features]
    done = run("pipeline", *base, *words)
    assert (done.code, done.out) == (2, "")
    assert error in done.error
    assert "Traceback" not in done.err


def test_a_run_that_drops_everything_is_a_success(tmp_path: Path) -> None:
    dump = tmp_path / "x.jsonl"
    dump.write_text('{"id": 1, "text": "no picture here at all #tag", "hashtags": ["tag"]}\nnonsense\n\n')
    (tmp_path / "pics").mkdir()
    words = ["build", "--dumps", dump, "--images", tmp_path / "pics", "--dataset", tmp_path / "d", "--json"]
    done = run("pipeline", *words, "--workers", 1, "--set", "features.vgg_grid.weights=random")
    assert done.code == 0, done.err
    assert (done.json["read"], done.json["kept"]) == (2, 0)
    assert done.json["dropped"] == {"no_image": 1, "not_json": 1}
    assert {name: known["rows"] for name, known in done.json["features"].items()} == {"ocr": 0, "vgg_grid": 0}
    assert run("pipeline", "verify", "--dataset", tmp_path / "d").code == 0
    empty = run("pipeline", "stats", "--dataset", tmp_path / "d", "--json").json
    assert (empty["train"]["posts"], empty["ocr"]["with_text_pct"], empty["attributes"]) == (0, 0.0, None)


def test_standard_input_is_a_dump_and_own_splits_are_kept(source: tuple[Path, Path], tmp_path: Path) -> None:
    dump, images = source
    records = [json.loads(line) | {"split": "test"} for line in dump.read_text().splitlines()]
    piped = gzip.compress("\n".join(json.dumps(record) for record in records).encode())
    done = run(
        *("pipeline", "build", "--dumps", "-", "--images", images, "--dataset", tmp_path / "d", *ALONE),
        *("--set", "clean.min_hashtag_count=1", "--json"),
        stdin=piped,
    )
    assert done.code == 0, done.err
    assert (done.json["read"], done.json["kept"], done.json["features"]) == (4, 4, {})
    posts = Dataset(tmp_path / "d").posts.to_pylist()
    assert {(post["split"], post["own_split"], post["source"]) for post in posts} == {("test", True, "detected:stdin")}


def test_a_mapping_file_decides_the_keyphrase(source: tuple[Path, Path], tmp_path: Path) -> None:
    dump, images = source
    mapping = tmp_path / "map.tsv"
    mapping.write_text("# hashtag\tkeyphrase\ntaga\tlabel of mine\n")
    done = run(
        *("pipeline", "build", "--dumps", dump, "--images", images, "--dataset", tmp_path / "d", *ALONE),
        *("--set", "clean.min_hashtag_count=1", f"text.hashtag_map={mapping}"),
    )
    assert done.code == 0, done.err
    assert ["label of mine"] in Dataset(tmp_path / "d").posts["keyphrases"].to_pylist()


def test_a_feature_can_be_added_to_a_finished_dataset(source: tuple[Path, Path], tmp_path: Path) -> None:
    dump, images = source
    words = ["build", "--dumps", dump, "--images", images, "--dataset", tmp_path / "d", "--workers", 1, "--json"]
    words += [
        "--set",
        "clean.min_hashtag_count=1",
        "features.vgg_grid.weights=random",
        "features.vgg_grid.batch_size=2",
    ]
    first = run("pipeline", *words, "--features", "ocr")
    stray = tmp_path / "d" / "features" / "vgg_grid" / "0123456789abcdef" / "shard-00000-of-00009.h5"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"left by a build with other weights that was killed")
    second = run("pipeline", *words, "--features", "vgg_grid")
    assert (first.code, second.code) == (0, 0), second.err
    assert not stray.parent.exists()
    assert list(first.json["features"]) == ["ocr"]
    assert {name: known["rows"] for name, known in second.json["features"].items()} == {"ocr": 4, "vgg_grid": 4}
    assert run("pipeline", "verify", "--dataset", tmp_path / "d").code == 0


def test_pictures_without_a_row_are_listed_and_survive_a_repair(source: tuple[Path, Path], tmp_path: Path) -> None:
    dump, images = source
    words = ["build", "--dumps", dump, "--images", images, "--dataset", tmp_path / "d", "--workers", 1, "--json"]
    words += ["--features", "ocr", "--set", "clean.min_hashtag_count=1", "features.ocr.timeout_seconds=0.001"]
    first = run("pipeline", *words)
    assert first.code == 0, first.err  # a deadline is an expected fault
    assert first.json["features"]["ocr"]["dropped"] == {"ocr_timeout": 4}
    assert (first.json["kept"], first.json["features"]["ocr"]["rows"]) == (4, 0)
    before = files_of(tmp_path / "d")
    sorted(tmp_path.glob("d/posts/part-*"))[0].write_bytes(b"nonsense")
    assert run("pipeline", *words).code == 0
    assert files_of(tmp_path / "d") == before
    sorted(tmp_path.glob("d/dropped/ocr-*"))[0].write_bytes(b"nonsense")
    assert run("pipeline", *words).code == 0
    assert files_of(tmp_path / "d") == before
    assert run("pipeline", "verify", "--dataset", tmp_path / "d").code == 0


def test_doctor_finds_what_the_tests_themselves_need() -> None:
    done = run("pipeline", "doctor", "--json")
    assert done.code == 0, done.err
    assert done.json["tesseract"]["found"].startswith("tesseract ")
    assert done.json["tesserocr"]["found"].startswith("tesserocr ")
    assert {"tesseract", "tesserocr", "word statistics", "weights", "detectron2"} < set(done.json)
    assert {"gpu", "disk", "runner"} < set(done.json)
    assert all(check["ok"] for check in done.json.values())


@pytest.mark.parametrize("command", ["stats", "verify"])
def test_a_folder_that_is_no_dataset_is_said_in_one_line(command: str, tmp_path: Path) -> None:
    assert run("pipeline", command, "--dataset", tmp_path / "lost").code == 2
    done = run("pipeline", command, "--dataset", tmp_path)
    assert done.code == 1
    assert "no manifest.json" in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", ["build", "stats", "verify", "doctor"])
def test_help_begins_with_examples(command: str) -> None:
    done = run("pipeline", command, "--help")
    assert done.code == 0
    assert done.out.index(f"m3h {command}") < done.out.index("Options")
