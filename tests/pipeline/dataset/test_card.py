"""card.md: what it says is what the manifest says, and what a person wrote into it stays."""

from pathlib import Path

import pytest
import yaml

from m3h.pipeline.dataset.card import BEGIN, END, front_matter
from m3h.pipeline.dataset.derived import write_derived
from m3h.schemas.files import read_json
from m3h.schemas.manifest import Manifest
from tests.pipeline.made import DROPPED_MADE, POSTS_MADE, make


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make(tmp_path / "d", range(POSTS_MADE))


def again(dataset: Path, **changes: object) -> str:
    manifest = Manifest.read(dataset)
    for name, value in changes.items():
        setattr(manifest, name, value)
    write_derived(dataset, manifest)
    return (dataset / "card.md").read_text()


def test_the_card_has_the_manifests_counts_and_the_front_matter_of_a_hub(dataset: Path) -> None:
    front, body = front_matter((dataset / "card.md").read_text())
    assert (front["size_categories"], front["language"]) == (["n<1K"], ["en"])
    assert [config["config_name"] for config in front["configs"]] == ["posts", "dropped"]
    read = POSTS_MADE + len(DROPPED_MADE)
    assert f"{read} records were read, {POSTS_MADE} kept and {len(DROPPED_MADE)} dropped." in body
    for line in ("| train | 7 |", r"| duplicates | duplicate\_text | 1 |", "| d.jsonl | v1 | `ab` |", "are masked"):
        assert line in body


def test_the_same_manifest_gives_the_same_bytes_wherever_it_lies(dataset: Path, tmp_path: Path) -> None:
    before = {name: (dataset / name).read_bytes() for name in ("card.md", "croissant.json")}
    again(dataset)
    other = make(tmp_path / "other name", range(POSTS_MADE))
    for folder in (dataset, other):
        assert {name: (folder / name).read_bytes() for name in before} == before


def test_what_a_person_wrote_stays_while_counts_follow(dataset: Path) -> None:
    card = (dataset / "card.md").read_text()
    card = card.replace("license: other", "license: cc-by-4.0").replace("license_link", "my_link")
    card = card.replace("pretty_name: ", "pretty_name: Rainy ").replace("State an address", "Write to a@b.example")
    (dataset / "card.md").write_text(card)
    counts = {**Manifest.read(dataset).counts, "kept": 53_000, "read": 60_000}
    now = again(dataset, counts=counts)
    assert "Write to a@b.example" in now
    assert "60000 records were read, 53000 kept and 7000 dropped." in now
    assert (now.count(BEGIN), now.count(END)) == (1, 1)
    front = front_matter(now)[0]
    assert (front["license"], front["size_categories"]) == ("cc-by-4.0", ["10K<n<100K"])
    described = read_json(dataset / "croissant.json")
    assert described["license"] == "cc-by-4.0"
    assert described["name"].startswith("Rainy ")


@pytest.mark.parametrize(
    "own", [b"# mine\n", b"---\na: [\n---\n", b"\xff\xfe", b"x" * (2 << 20), f"{BEGIN}{END}".encode()]
)
def test_a_card_of_the_users_own_is_never_touched(dataset: Path, own: bytes) -> None:
    (dataset / "card.md").write_bytes(own)
    write_derived(dataset, Manifest.read(dataset))
    assert (dataset / "card.md").read_bytes() == own
    assert read_json(dataset / "croissant.json")["@type"] == "sc:Dataset"


def test_nothing_that_a_dump_is_called_becomes_markup_or_a_mark(dataset: Path) -> None:
    name = f"a|b\n{END}<script>*x*`"
    now = again(dataset, inputs=[{"name": name, "format": "v1", "sha256": "ab"}])
    assert (now.count(END), now.count("<script>")) == (1, 0)
    assert yaml.safe_load(now.partition("\n---\n")[0].removeprefix("---\n"))
    assert again(dataset) == again(dataset)
