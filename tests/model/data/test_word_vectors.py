"""Word vectors from files."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from m3h.model.config import Config
from m3h.model.data.word_vectors import WordVectors, fill_embedding, read_vectors
from m3h.model.runs.experiment import train_run
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.vocab import Vocabulary
from tests.model.training.test_resume import StopAt, small

LINES = "storm 1 2\nhour 3 4\nstorm 9 9\n. . 5 6\n<user> 7 8\nother x y\n"


def written(folder: Path, text: str, name: str = "vectors.txt") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
@pytest.mark.parametrize("header", ["", "5 2\n"])
def test_wanted_words_are_found_also_with_spaces_in_them(tmp_path: Path, name: str, header: str) -> None:
    path = written(tmp_path, header + LINES, name)
    found = read_vectors(path, ["storm", ". .", "<mention>", "unseen"], 2)
    assert {word: list(values) for word, values in found.vectors.items()} == {
        "storm": [1, 2],
        ". .": [5, 6],
        "<user>": [7, 8],
    }


@pytest.mark.parametrize("start", ["\n", "\ufeff", "\r\n \n", "\ufeff2\t2\n", "2\t2 \r\n"])
def test_blank_lines_byte_order_marks_and_tabs_are_no_words(tmp_path: Path, start: str) -> None:
    found = read_vectors(written(tmp_path, f"{start}storm\t1 2 \r\n\nhour 3\t4"), ["storm", "hour"], 2)
    assert {word: list(values) for word, values in found.vectors.items()} == {"storm": [1, 2], "hour": [3, 4]}
    assert found.unreadable == 0


def test_a_word_that_is_no_utf8_costs_that_word_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"storm 1 2\n\xe9\xff 3 4\nhour 5 6\n")
    found = read_vectors(path, ["storm", "hour"], 2)
    assert (sorted(found.vectors), found.unreadable) == (["hour", "storm"], 1)


def test_a_label_of_several_words_has_the_mean_of_those_that_the_file_has(tmp_path: Path) -> None:
    path = written(tmp_path, "fire 1 2\ntruck 3 6\nhot_dog 0 0\nice cream 9 9\nice 1 1\n")
    vocabulary = Vocabulary(["<pad>", "<unk>", "fire truck", "fire hydrant", "ice cream", "traffic light"])
    embedding = nn.Embedding(6, 2)
    before = embedding.weight[5].tolist()
    assert fill_embedding(embedding, vocabulary, read_vectors(path, vocabulary.words, 2)) == 3
    assert embedding.weight[2:5].tolist() == [[2, 4], [1, 2], [9, 9]]
    assert embedding.weight[5].tolist() == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("storm 1 2\nhour 3\n", r"line 2: 1 numbers a word, but the model has 2"),
        ("storm 1 2\n\nhour 3 4 5\n", r"line 3: 3 numbers a word, but the model has 2"),
        ("2 3\nstorm 1 2 3\n", r"line 1: 3 numbers a word, but the model has 2"),
        ("2 1\nstorm 1\n", r"line 1: 1 numbers a word, but the model has 2"),
        ("storm 1 2\nhour 3 four\n", r"line 2: could not convert string to float: 'four'"),
        ("storm 1 nan\n", r"line 1: a number is not finite"),
        (
            "storm 1 2 3\n",
            r"3 numbers a word, but the model has 2. Name a file .*, or add --set word_width=3",
        ),
        ("storm 1\n", r"1 numbers a word, but the model has 2"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_vectors(written(tmp_path, text), ["storm", "hour"], 2)


def test_a_file_that_is_not_there_or_no_gzip_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_vectors(tmp_path / "none.txt", [], 2)
    (tmp_path / "a.gz").write_bytes(b"storm 1 2\n")
    with pytest.raises(UsageError, match="Not a gzipped file"):
        read_vectors(tmp_path / "a.gz", [], 2)


def test_rows_are_filled_and_the_others_stay() -> None:
    vocabulary = Vocabulary(["<pad>", "<unk>", "storm", "<mention>", "unseen"])
    embedding = nn.Embedding(5, 2)
    before = embedding.weight.detach().clone()
    rows = {word: np.array(values, np.float32) for word, values in {"storm": [1, 2], "<user>": [7, 8]}.items()}
    assert fill_embedding(embedding, vocabulary, WordVectors({**rows, "<pad>": np.ones(2, np.float32)})) == 2
    assert embedding.weight[2].tolist() == [1, 2]
    assert embedding.weight[3].tolist() == [7, 8]
    assert torch.equal(embedding.weight[[0, 1, 4]], before[[0, 1, 4]])


@pytest.mark.parametrize("freeze", [True, False])
def test_vectors_are_trained_or_frozen_and_reported(freeze: bool, tiny_dataset: Path, tmp_path: Path) -> None:
    numbers = [k / 8 for k in range(8)]
    path = written(tmp_path, f"storm {' '.join(map(str, numbers))}\n")
    config = small(epochs=1, embeddings=str(path), freeze_embeddings=freeze, system="gen-copy")
    train_run(config, Dataset(tiny_dataset), tmp_path / "run", progress=StopAt(None))
    words = json.loads((tmp_path / "run" / "words.json").read_text())
    row = load_file(tmp_path / "run" / "model.safetensors")["embedding.weight"][words.index("storm")]
    assert torch.equal(row, torch.tensor(numbers)) is freeze
    told = json.loads((tmp_path / "run" / "run.json").read_text())["embeddings"]
    assert (told["found"], told["words"]) == (1, len(words) - 1)


def test_a_system_without_text_has_no_use_for_them(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reads no text"):
        train_run(
            Config(system="cls-vgg-max", freeze_embeddings=True),
            Dataset(tiny_dataset),
            tmp_path / "run",
            progress=StopAt(None),
        )


def test_real_twitter_vectors_cover_real_tweets(m3h_data: Path) -> None:
    tweets = (m3h_data / "cmkp" / "valid_src.txt").read_text(encoding="utf-8").splitlines()
    tokens = [token for tweet in tweets for token in tweet.split("<sep>")[0].split()]
    words = Vocabulary.count(tokens, size=5_000)
    path = m3h_data / "word_vectors" / "glove.twitter.27B.25d.top12k.txt.gz"
    vectors = read_vectors(path, words.words, 25).vectors
    assert len(vectors["the"]) == 25
    assert 0.5 < sum(token in vectors for token in tokens) / len(tokens) < 1
