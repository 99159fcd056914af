"""Every command on every prepared dataset: the victim beside it stays as it was, and no word of it is in any output."""

import contextlib
import os
import shutil
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m3h.model.data.posts import Reader
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import M3hError
from tests.pipeline.fakes import small_dump
from tests.pipeline.stranger.prepared import CASES, MARKER, Case, Prepared
from tests.pipeline.warm import Said, Warm

RULES = ("--set", "clean.min_hashtag_count=1", "clean.near_text=0", "clean.near_images=0")
SECONDS = 60
POSTS = 6
IN_TURN = 3
"""Commands that a prepared dataset gets in the slow tier."""


@dataclass(frozen=True)
class Source:
    """What all cases begin from. whole: a finished dataset of somebody else. dump, later, images: the user's own."""

    whole: Path
    dump: Path
    later: Path
    images: Path
    ids: Path
    places: dict[str, str]
    current: str
    earlier: str


@pytest.fixture(scope="module")
def source(m3h: Warm, tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("source")
    dump, images = small_dump(folder, POSTS + 2)
    lines = dump.read_text().splitlines(keepends=True)
    dump.write_text("".join(lines[:POSTS]) + "no post\n")
    later = folder / "later.jsonl"
    later.write_text("".join(lines[POSTS:]))
    ids = folder / "ids.txt"
    ids.write_text("1001\n")
    whole = folder / "whole"
    words = ("--progress", "none", "--dataset", whole, "--workers", 1)
    m3h.must("build", "--dumps", dump, "--images", images, "--features", "ocr", *words, *RULES)
    m3h.must("refresh", *words, "--set", "features.ocr.min_confidence=50")
    data = Dataset(whole)
    current, earlier = data.manifest.features["ocr"].history
    (part,) = data.names("posts/")
    picture = data.images["image_sha256"][0].as_py()
    shard = data.manifest.features["ocr"].current_version.shards[0]
    places = {"PRINT": current, "posts": part, "list": "images/images.parquet", "shard": shard}
    places |= {"picture": f"images/{picture[:2]}/{picture}.jpg", "images/00": f"images/{picture[:2]}"}
    places["description"] = f"features/ocr/{current}/feature.json"
    (whole / ".build.json").unlink()  # a stranger's dataset
    return Source(whole, dump, later, images, ids, places, current, earlier)


def make_victim(folder: Path, source: Source) -> Path:
    """A folder of every kind of thing that a dataset has or names, all of it with the marker."""
    shutil.copytree(source.whole, folder)
    shutil.copytree(source.images, folder / "pictures")
    for name in (
        "secret.txt",
        "work/next/posts/part-00000-of-00001.parquet",
        "work/receipts/a",
        "work/lock",
        "images/x.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{MARKER}\n")
    (folder / "map.tsv").write_text(f"taga\t{MARKER}\n")
    for n in (1, 2):
        (folder / f"counts_{n}grams.txt").write_text(f"{MARKER}\t1\n")
    shutil.copyfile(source.dump, folder / "dump.jsonl")
    for part in folder.glob("posts/*"):
        table = pq.read_table(part)
        texts = pa.array([MARKER] * table.num_rows, pa.string())
        pq.write_table(table.set_column(table.schema.get_field_index("text"), table.schema.field("text"), texts), part)
    return folder


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[path.relative_to(folder).as_posix()] = (status.st_mode, status.st_mtime_ns, data)
    return found


def commands(source: Source, dataset: Path, out: Path) -> dict[str, Sequence[object]]:
    """Every command that takes a dataset."""
    here = ("--dataset", dataset)
    more = (*here, "--workers", 1)
    quiet, pictures = (*more, "--progress", "none"), ("--images", source.images)
    return {
        "verify": ("verify", *here),
        "repair": ("verify", "--repair", *more),
        "stats": ("stats", *here),
        "summary": ("summary", "--all", *here),
        "dropped": ("dropped", *here),
        "dropped --out": ("dropped", *here, "--dumps", source.dump, "--out", out / "raw.jsonl"),
        "why": ("why", "--id", 1001, *here),
        "why --image": ("why", "--image", "p0.jpg", *here),
        "ids": ("ids", "--out", out / "ids.txt", *here),
        "plan": ("plan", *more),
        "plan a new feature": ("plan", "--feature", "vgg_grid", *more),
        "plan attributes": ("plan", "--feature", "attributes", *more),
        "plan --dumps": ("plan", "--dumps", source.later, "--images", source.images, *more),
        "build": ("build", "--dumps", source.later, *pictures, *quiet, *RULES),
        "build both": ("build", "--dumps", source.dump, source.later, *pictures, *quiet, *RULES),
        "retry": ("retry", *quiet),
        "retry --dumps": ("retry", "--dumps", source.dump, "--images", source.images, *quiet),
        "refresh": ("refresh", *quiet, "--set", "features.ocr.min_confidence=60"),
        "use": ("use", "--feature", "ocr", "--fingerprint", source.earlier, *here),
        "diff": ("diff", "--feature", "ocr", *here),
        "gc": ("gc", *here),
        "compact": ("compact", *here, "--set", "shards.images=2", "shards.posts=2", "--progress", "none"),
        "forget": ("forget", "--ids", source.ids, *here),
        "export tars": ("export", "--to", "webdataset", "--out", out / "tars", *here),
        "export boxes": ("export", "--to", "butd-tsv", "--feature", "ocr", "--out", out / "boxes", *here),
        "featurize": (
            "featurize", "--posts", source.later, "--images", source.images, "--like", dataset,
            "--dataset", out / "new", "--workers", 1, "--progress", "none",
        ),
    }  # fmt: skip


def texts_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """What every regular file says; tables also unpacked."""
    for path in sorted(folder.rglob("*")):
        if not stat.S_ISREG(path.lstat().st_mode):
            continue
        data = path.read_bytes()
        yield path, data.decode("latin-1")
        if data[:4] == b"PAR1" == data[-4:]:
            yield path, str(pq.read_table(path).to_pylist())


@dataclass
class Trial:
    """One command on one prepared dataset, and what is wrong about it."""

    case: Case
    command: str
    said: Said

    def faults(self, before: object, after: object, places: Sequence[Path]) -> Iterator[str]:
        name = f"{self.case.what}: {self.command}"
        if before != after:
            yield f"{name}: the victim was changed"
        if self.said.hung:
            yield f"{name}: hangs"
        elif self.said.code not in (0, 1, 2):
            yield f"{name}: exit {self.said.code}: {self.said.printed[-300:]}"
        if "Traceback" in self.said.printed:
            yield f"{name}: traceback: {' | '.join(self.said.printed.splitlines()[-3:])}"
        if len(self.said.errors) > 1 or (self.said.code and not self.said.errors and not self._reports):
            yield f"{name}: exit {self.said.code} with {len(self.said.errors)} error lines: {self.said.printed[-300:]}"
        if self.case.strange and (self.said.code == 0 or "found a" not in self.said.printed):
            yield f"{name}: not refused: {self.said.code} {self.said.printed[-300:]}"
        if MARKER in self.said.printed:
            yield f"{name}: tells what the victim says: {self.said.printed[-300:]}"
        for place in places:
            yield from (f"{name}: {path} says it" for path, text in texts_of(place) if MARKER in text)

    @property
    def _reports(self) -> bool:
        """Whether it tells what is wrong on its standard output."""
        return self.command in ("verify", "repair", "forget")


def tried(m3h: Warm, source: Source, place: Path, case: Case, names: Sequence[str]) -> tuple[Counter[int], list[str]]:
    """Exit codes of commands, and all that is wrong."""
    victim = make_victim(place / "victim", source)
    before = state(victim)
    codes: Counter[int] = Counter()
    faults: list[str] = []
    for name in names:
        dataset, out = place / "dataset", place / "out"
        shutil.copytree(source.whole, dataset)
        out.mkdir()
        case.prepare(Prepared(dataset, victim, source.places))
        said = m3h.run(*commands(source, dataset, out)[name], seconds=SECONDS)
        codes[said.code] += 1
        faults += Trial(case, name, said).faults(before, state(victim), (dataset, out))
        shutil.rmtree(dataset)
        shutil.rmtree(out)
    return codes, faults


ALL = tuple(commands(Source(*[Path()] * 5, {}, "", ""), Path(), Path()))
FEW = ("repair", "plan", "forget")
TYPICAL = ("link as folder images", "stray link features/stray", "link as file shard", "link as folder .build",
           "pipe as manifest.json", "folder as manifest.json", "leaving names 'UP/secret.txt'",
           "weights outside", "pictures are named UP/secret", "no counts")  # fmt: skip


@pytest.mark.parametrize("what", TYPICAL)
def test_the_victim_of_a_typical_dataset_stays_as_it_was(m3h: Warm, source: Source, tmp_path: Path, what: str) -> None:
    (case,) = [case for case in CASES if case.what == what]
    _, faults = tried(m3h, source, tmp_path, case, FEW)
    assert faults == []


def in_turn(number: int) -> Sequence[str]:
    """The commands for a case: all with M3H_VICTIM=all, which takes half an hour; else some, all equally often."""
    if os.environ.get("M3H_VICTIM") == "all":
        return ALL
    return [ALL[(number * IN_TURN + i) % len(ALL)] for i in range(IN_TURN)]


@pytest.mark.parametrize("what", TYPICAL)
def test_the_trainer_reads_nothing_of_the_victim(source: Source, tmp_path: Path, what: str) -> None:
    (case,) = [case for case in CASES if case.what == what]
    victim = make_victim(tmp_path / "victim", source)
    before = state(victim)
    dataset = shutil.copytree(source.whole, tmp_path / "dataset")
    case.prepare(Prepared(dataset, victim, source.places))
    read = ""
    with contextlib.suppress(M3hError):
        reader = Reader(Dataset(dataset), ("ocr", "attributes", "vision", "objects"))
        read = f"{reader.split('all').ids} {reader.ocr}"
        assert not case.strange
    assert MARKER not in read
    assert state(victim) == before


@pytest.mark.slow
def test_no_command_touches_or_tells_of_the_victim_of_any_dataset(m3h: Warm, source: Source, tmp_path: Path) -> None:
    codes: Counter[int] = Counter()
    faults: list[str] = []
    for number, case in enumerate(CASES):
        found, wrong = tried(m3h, source, tmp_path / str(number), case, in_turn(number))
        codes += found
        faults += wrong
        shutil.rmtree(tmp_path / str(number))
    sys.stdout.write(
        f"{len(CASES)} datasets, {codes.total()} commands, exit codes {dict(codes)}, {len(faults)} faults\n"
    )
    assert faults == []
