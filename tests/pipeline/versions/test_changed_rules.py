"""Other rules for a finished dataset: it becomes what one build by them would have made, from pictures it knows."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from m3h.pipeline.checks.verify import verify
from m3h.schemas.manifest import Manifest
from tests.commands import files_of
from tests.kills import Victim
from tests.pipeline.cases import some
from tests.pipeline.fakes import small_dump
from tests.pipeline.finished import differing, shown
from tests.pipeline.warm import Warm

POSTS = 18
QUIET = ["--workers", 1, "--progress", "none"]
RULES = ["clean.min_hashtag_count=1", "clean.near_text=0", "clean.near_images=0", "clean.max_hashtags=2"]
CHANGES = {
    "stricter": ["clean.max_hashtags=1"],
    "laxer": ["clean.max_hashtags=3", "clean.languages=[]", "clean.min_tokens=2"],
    "rare hashtags": ["clean.min_hashtag_count=3", "clean.rare_hashtags=drop_tag"],
    "another division": ["split.key=other", "split.valid=0.3"],
    "other files": ["shards.posts=5", "shards.images=3"],
    "texts as they are": ["text.mask=false"],
    "own keyphrases": ["text.hashtag_map=MAP"],
    "grey pictures": ["image.allow_grey=true"],
}
FAST = ("laxer", "own keyphrases")
CASES = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in CHANGES]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posts that some rules drop: of three hashtags, in German, short, grey; and one that names somebody."""
    dump, images = small_dump(tmp_path_factory.mktemp("source"), POSTS)
    records = [json.loads(line) for line in dump.read_text().splitlines()]
    for i in (0, 1):
        records[i]["text"] += " #tea"
    for i in (2, 3):
        records[i]["text"] += " #tea #cake"
    records[4] |= {"text": "das ist ein sehr schöner Kuchen aus der Bäckerei #taga", "lang": "de"}
    records[5]["text"] = "lovely tea #taga"
    records[6]["text"] = f"@someone {records[6]['text']}"
    with Image.open(images / "p7.jpg") as picture:
        picture.convert("L").save(images / "p7.jpg")
    dump.write_text("".join(json.dumps(record) + "\n" for record in records))
    (dump.parent / "map.tsv").write_text("taga\ttag the first\n")
    return dump.parent


def words(source: Path, dataset: Path, *sets: str) -> list[object]:
    named = [rule.replace("MAP", str(source / "map.tsv")) for rule in sets]
    return [
        *("build", "--dumps", source / "dump.jsonl", "--images", source / "images", "--dataset", dataset),
        *("--features", "ocr", *QUIET, *(["--set", *named] if named else [])),
    ]


@pytest.fixture(scope="module")
def built(m3h: Warm, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("built") / "dataset"
    m3h.must(*words(source, dataset, *RULES))
    assert len(shown(dataset)) == POSTS - 5
    return dataset


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "dataset")


@pytest.fixture
def emptied(source: Path, tmp_path: Path) -> Path:
    """The source without the pictures that the dataset has."""
    copied = shutil.copytree(source, tmp_path / source.name)
    for i in range(POSTS):
        if i != 7:
            (copied / "images" / f"p{i}.jpg").unlink()
    return copied


@pytest.mark.parametrize("change", CASES)
def test_what_becomes_of_a_dataset_is_what_one_build_by_the_new_rules_makes(
    m3h: Warm, source: Path, emptied: Path, dataset: Path, tmp_path: Path, change: str
) -> None:
    said = m3h.must(
        *words(source, dataset, *CHANGES[change])[:4], emptied / "images", *words(source, dataset, *CHANGES[change])[5:]
    )
    assert said.printed.count("note: other rules from now on: ") == 1
    assert all(rule.partition("=")[0] in said.printed for rule in CHANGES[change])
    m3h.must(*words(source, tmp_path / "once", *RULES, *CHANGES[change]))
    assert differing(files_of(dataset), files_of(tmp_path / "once")) == []
    assert verify(dataset).breaches == []


def test_rules_that_are_not_named_are_those_of_the_dataset(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    before = files_of(dataset)
    said = m3h.must(*words(source, dataset))
    assert "other rules" not in said.printed
    assert differing(files_of(dataset), before) == []
    more, _ = small_dump(tmp_path / "more", 20)
    (more.parent / "more.jsonl").write_text(
        "".join(more.read_text().splitlines(True)[18:]).replace("#tag", "#a #b #tag")
    )
    m3h.must(
        "build", "--dumps", more.parent / "more.jsonl", "--images", more.parent / "images", "--dataset", dataset, *QUIET
    )
    assert Manifest.read(dataset).config["clean"]["max_hashtags"] == 2
    assert Manifest.read(dataset).counts["dropped"]["text"] == {"too_few_tokens": 1, "too_many_hashtags": 4}


def test_a_rule_that_is_set_to_its_default_is_named(m3h: Warm, source: Path, dataset: Path) -> None:
    said = m3h.must(*words(source, dataset, "clean.max_hashtags=5"))
    assert "note: other rules from now on: clean.max_hashtags 2 -> 5. " in said.printed
    assert len(shown(dataset)) == POSTS - 3


def test_a_mapping_of_hashtags_that_was_corrected_is_another_rule(m3h: Warm, source: Path, dataset: Path) -> None:
    mapping = shutil.copyfile(source / "map.tsv", dataset.parent / "map.tsv")
    m3h.must(*words(source, dataset, f"text.hashtag_map={mapping}"))
    mapping.write_text("taga\tthe first tag\n")
    said = m3h.must(*words(source, dataset))
    assert "other rules from now on: the hashtag map. " in said.printed
    assert "taga\tthe first tag\t" in (dataset / "hashtags.tsv").read_text()


def test_rules_that_take_too_much_change_nothing_until_it_is_wanted(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    before = files_of(dataset)
    said = m3h.run(*words(source, dataset, "clean.min_tokens=50"))
    assert (said.code, "more than safety.max_loss=0.01 allows" in said.printed) == (1, True)
    assert differing({name: data for name, data in files_of(dataset).items() if ".build/" not in name}, before) == []
    m3h.must(*words(source, dataset, "clean.min_tokens=50", "safety.max_loss=1"))
    assert shown(dataset) == {}
    m3h.must(*words(source, dataset, "clean.min_tokens=4"))
    assert differing(files_of(dataset), before) == []  # the store has kept every picture


def test_only_build_changes_rules(m3h: Warm, dataset: Path) -> None:
    before = files_of(dataset)
    said = m3h.run("retry", "--dataset", dataset, *QUIET, "--set", "clean.max_hashtags=1")
    assert (said.code, len(said.errors)) == (2, 1)
    assert "by other rules than these: clean.max_hashtags 2 -> 1. `m3h build` changes" in said.errors[0]
    assert differing(files_of(dataset), before) == []


@pytest.mark.slow
@pytest.mark.parametrize("left", some(range(20, 261, 30), 4))
def test_a_change_of_rules_that_is_killed_ends_as_if_it_had_not_been(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path, left: int
) -> None:
    change = ["clean.max_hashtags=3", "split.key=other", "shards.images=3"]
    victim = Victim(m3h.zygote, words(source, dataset, *change), dataset)
    victim.run(left)
    assert not victim.run()
    m3h.must(*words(source, tmp_path / "once", *RULES, *change))
    assert differing(files_of(dataset), files_of(tmp_path / "once")) == []
