"""Descriptions of pictures by their authors: read only where they are asked for, between the text and the OCR words."""

from pathlib import Path

import pytest
import torch

from m3h.model.api import Predictor
from m3h.model.config import Config
from m3h.model.data.encoding import encode, join_parts
from m3h.model.data.inputs import available_inputs
from m3h.model.data.posts import Posts, Reader, Vocabularies
from m3h.model.decoding.attribution import attributions
from m3h.model.decoding.predict import RankedPhrase
from m3h.model.runs.run import new_run
from m3h.model.systems import FUSION_MODALITIES, SYSTEMS, get_system, resolve_inputs
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.wording import wording
from tests.model.fakes import OCR, fake_post, write_dataset

WORDS = {"look", "boats", "on", "sand", "harbour", "ferry"}
READING = ["harbour", "ferry", "boats"]


@pytest.mark.parametrize(
    ("text", "alt", "reading", "source"),
    [
        ("look", "two boats", READING, "look <sep> two boats <sep> harbour ferry boats"),
        ("look", "", READING, "look <sep> harbour ferry boats"),
        ("look", "two boats", [], "look <sep> two boats"),
        ("look", "", [], "look"),
        ("", "boats", [], "<sep> boats"),
        ("", "", [], "<unk>"),
    ],
)
def test_a_source_is_text_description_and_ocr_words(text: str, alt: str, reading: list[str], source: str) -> None:
    parts = [text.split(), alt.split(), wording(reading, WORDS)]
    assert join_parts(parts, None) == source.split()
    assert join_parts(parts, 2) == source.split()[:2]


def _posts() -> Posts:
    return Posts(["1", "2"], [["look"], ["on", "sand"]], [["low tide"]] * 2, [READING, []], [[]] * 2, [-1] * 2,
                 alt=[["two", "boats"], []])  # fmt: skip


def test_words_of_descriptions_count_for_the_vocabulary_and_can_be_copied() -> None:
    words = Vocabularies.build(_posts(), 100)
    assert {"two", "boats"} <= set(words.words.words)
    encoded = encode(_posts(), words, inputs=("alt", "ocr"))
    assert encoded.sources == [["look", "<sep>", "two", "boats"], ["on", "sand"]]  # no OCR word is in the vocabulary
    few = Vocabularies.build(Posts(["1"], [["look"]], [["low tide"]], [[]], [[]], [-1]), 100)
    assert "boats" not in few.words.words
    assert encode(_posts(), few, inputs=("alt",)).oov[0] == ["two", "boats"]


def test_they_are_not_read_unless_asked_for() -> None:
    words = Vocabularies.build(_posts(), 100)
    assert encode(_posts(), words, inputs=("ocr",)).sources == [["look"], ["on", "sand"]]


def test_the_parts_of_a_source_end_where_they_end() -> None:
    words = Vocabularies.build(_posts(), 100)
    assert encode(_posts(), words, inputs=("alt",)).part_ends([0, 1]).tolist() == [[1, 4], [2, 2]]
    assert encode(_posts(), words, inputs=("ocr",)).part_ends([1, 0]).tolist() == [[2, 2], [1, 1]]


@pytest.mark.parametrize(
    "name", [name for name, system in SYSTEMS.items() if "text" in FUSION_MODALITIES[system.fusion]]
)
def test_every_system_that_reads_text_can_read_them(name: str) -> None:
    if "text" in get_system(name).inputs:
        assert resolve_inputs(get_system(name), Config(system=name, add_inputs=("alt",)))[1] == "alt"
    assert "alt" not in resolve_inputs(get_system(name), Config(system=name))


def test_a_system_without_text_is_refused() -> None:
    with pytest.raises(UsageError, match="reads no text, and alt words are read after the text"):
        resolve_inputs(get_system("cls-vgg-max"), Config(add_inputs=("alt",)))


@pytest.fixture
def described(tmp_path: Path) -> Dataset:
    """Two training posts, the first with a description, and a validation post."""
    posts = [fake_post(1, "look", ["low tide"], "train").having(alt_tokens=("two", "boats"))]
    posts += [fake_post(2, "on sand", ["low tide"], "train"), fake_post(3, "look", ["low tide"], "valid")]
    return Dataset(write_dataset(tmp_path / "data", posts, {OCR: {"train-image-00001": {"tokens": READING}}}))


def test_a_reader_reads_them_from_the_posts(described: Dataset) -> None:
    assert available_inputs(described, ["alt", "ocr", "vision"]) == ["alt", "ocr"]
    assert Reader(described, ["text", "alt"]).split("train").alt == [["two", "boats"], []]
    assert Reader(described, ["text"]).split("train").alt == [[], []]


def test_without_any_the_input_is_left_out(tmp_path: Path) -> None:
    data = Dataset(write_dataset(tmp_path / "data", [fake_post(1, "look", ["low tide"], "train")]))
    assert available_inputs(data, ["alt"]) == []


def test_a_copied_phrase_is_attributed_to_the_description(described: Dataset, tiny_config: Config) -> None:
    config, inputs = tiny_config.model_copy(update={"system": "gen-copy"}), ["text", "alt"]
    reader = Reader(described, inputs)
    posts = reader.split("train")
    run = new_run(Path("unused"), config, described, reader=reader, inputs=inputs, posts=posts)
    with torch.no_grad():
        run.model.generator.switch.weight.zero_()
        run.model.generator.switch.bias.fill_(-30.0)  # all words are copied
    run.model.eval()
    ranked = [[RankedPhrase("boats", 1.0), RankedPhrase("look", 0.5)], []]
    found = attributions(run.model, run.encode(posts), run.vocabularies, config=config, ranked=ranked)
    assert found == [["alt", "text"], []]


def test_a_text_may_come_with_a_description(described: Dataset, tiny_config: Config) -> None:
    config, inputs = tiny_config.model_copy(update={"system": "gen-copy"}), ["text", "alt"]
    reader = Reader(described, inputs)
    run = new_run(Path("unused"), config, described, reader=reader, inputs=inputs, posts=reader.split("train"))
    posts = Predictor(run).posts_of_texts(["Look"], alt=["Two boats!"])
    assert (posts.tokens, posts.alt) == ([["look"]], [["two", "boats"]])
    assert run.encode(posts).sources == [["look", "<sep>", "two", "boats"]]
    with pytest.raises(UsageError, match="1 texts, but 2 descriptions"):
        Predictor(run).posts_of_texts(["Look"], alt=["a", "b"])
