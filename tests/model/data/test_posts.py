"""From a dataset folder to batches."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.data.batch import EOS_ID, UNK_ID
from m3h.model.data.encoding import batches_by_length, build_sources, encode, shuffled_batches
from m3h.model.data.posts import Posts, Reader, Vocabularies
from m3h.model.data.ragged import Ragged
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.vocab import WORD_SPECIALS, Vocabulary
from tests.model.conftest import SIZES
from tests.model.fakes import fake_post, write_dataset

EVERYTHING = ("text", "ocr", "vision", "attributes")
ROWS = st.lists(st.lists(st.integers(1, 99), max_size=6), min_size=1, max_size=8)


def posts_of(*texts: str, keyphrases: tuple[str, ...] = ("storm hour",), ocr: tuple[str, ...] = ()) -> Posts:
    n = len(texts)
    ids, tokens = [str(i) for i in range(n)], [text.split() for text in texts]
    return Posts(ids, tokens, [list(keyphrases)] * n, [list(ocr)] * n, [["man"]] * n, [-1] * n)


def test_posts_come_in_source_order(tiny_dataset: Path) -> None:
    posts = Reader(Dataset(tiny_dataset), ()).split("train")
    assert posts.ids == [f"train-{i:05d}" for i in range(1, SIZES["train"] + 1)]
    assert posts.ocr == [[]] * len(posts)
    assert not posts.pictures.cells


def test_features_lie_beside_their_posts(tiny_dataset: Path) -> None:
    dataset = Dataset(tiny_dataset)
    posts = Reader(dataset, EVERYTHING).split("test")
    grid = dataset.tensors("vgg_grid")
    images = dict(zip(dataset.posts["post_id"].to_pylist(), dataset.posts["image_sha256"].to_pylist(), strict=True))
    found = posts.pictures.cells["vision"].of(np.array(posts.image))
    for post_id, cells, mask, labels in zip(posts.ids, *found, posts.attributes, strict=True):
        row = grid.rows.get(images[post_id])
        assert (row is not None) == bool(mask.all()) == bool(mask.any()) == (len(labels) == 5)
        if row is not None:
            np.testing.assert_array_equal(cells, grid.arrays["features"][row])
    assert posts.image.count(-1) == 1


def test_last_n_holds_out_the_last_training_posts(tiny_dataset: Path) -> None:
    train, held = Reader(Dataset(tiny_dataset), ()).training_and_selection("train", "last:7")
    assert held.ids == [f"train-{i:05d}" for i in range(42, 49)]
    assert train.ids[-1] == "train-00041"


@pytest.mark.parametrize("select", ["last:0", "last:48", "last:x", "last:-3", "train", "nowhere"])
def test_a_selection_that_cannot_be_is_a_usage_error(tiny_dataset: Path, select: str) -> None:
    with pytest.raises(UsageError, match=select):
        Reader(Dataset(tiny_dataset), ()).training_and_selection("train", select)


def test_an_empty_split_is_told_with_what_there_is(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", [fake_post(1, "a b c d", ["kca"], "train")])
    with pytest.raises(UsageError, match="no posts in split 'valid'; it has train 1, valid 0, test 0"):
        Reader(Dataset(folder), ()).training_and_selection("train", "valid")


def test_vocabularies_know_training_posts_alone(tiny_dataset: Path) -> None:
    reader = Reader(Dataset(tiny_dataset), EVERYTHING)
    train, held = reader.training_and_selection("train", "last:7")
    learned = Vocabularies.build(train, 45_000)
    assert "train0" not in learned.words  # the last post of all
    assert held.tokens[-1][-2] == "train0"
    assert learned.labels.words[0] == "<unk>"
    assert learned.attributes.words[:2] == ["<pad>", "<unk>"]
    assert not any(word.startswith(("valid", "test")) for word in learned.words.words)


def test_vocabularies_count_a_post_s_text_once_and_all_its_keyphrases() -> None:
    learned = Vocabularies.build(posts_of("x x y", keyphrases=("y", "z z y")), size=2)
    assert learned.words.words[len(WORD_SPECIALS) :] == ["y", "x"]  # y 3, x 2, z 2: ties by first appearance
    assert learned.labels.words == ["<unk>", "y", "z z y"]


def test_vocabularies_are_read_as_written(tmp_path: Path) -> None:
    learned = Vocabularies.build(posts_of("x y"), 10)
    learned.write(tmp_path)
    read = Vocabularies.read(tmp_path)
    assert [v.words for v in (read.words, read.labels, read.attributes)] == [
        v.words for v in (learned.words, learned.labels, learned.attributes)
    ]


def test_ocr_words_of_the_vocabulary_follow_the_text() -> None:
    words = Vocabulary([*WORD_SPECIALS, "storm", "hour", "tonight", "shelter"])

    def source(text: str, reading: list[str], max_source: int | None = None) -> str:
        return " ".join(build_sources(posts_of(text, ocr=tuple(reading)), words, max_source, inputs=("ocr",))[0])

    reading = ["shelter", "tonight", "storm", "zebra"]
    assert source("a b", reading) == "a b <sep> shelter tonight storm"
    assert source("a b", reading, 4) == "a b <sep> shelter"
    assert source("a b", ["zebra"]) == "a b"
    assert source("", []) == "<unk>"


def test_pairs_and_copied_words_by_hand() -> None:
    learned = Vocabularies.build(posts_of("x y", keyphrases=("x", "y x")), 10)
    size = len(learned.words)
    encoded = encode(posts_of("q x r q s", keyphrases=("x", "r x s", "none")), learned, max_oov=2)
    x = learned.words.index["x"]
    assert encoded.oov == [["q", "r"]]
    pairs = encoded.pairs_batch(np.arange(3))
    assert pairs.batch.source_bl[0].tolist() == [UNK_ID, x, UNK_ID, UNK_ID, UNK_ID]
    assert pairs.batch.copy_bl[0].tolist() == [size, x, size + 1, size, UNK_ID]
    assert pairs.target_bt.tolist() == [
        [x, EOS_ID, 0, 0],
        [size + 1, x, UNK_ID, EOS_ID],
        [UNK_ID, EOS_ID, 0, 0],
    ]
    assert pairs.target_mask_bt.sum(1).tolist() == [2, 4, 2]
    assert pairs.label_b.tolist() == [learned.labels.index["x"], 0, 0]


def test_a_missing_image_is_an_empty_memory(tiny_dataset: Path) -> None:
    reader = Reader(Dataset(tiny_dataset), EVERYTHING)
    posts = reader.split("test")
    learned = Vocabularies.build(reader.split("train"), 100)
    batch = encode(posts, learned, inputs=EVERYTHING).posts_batch(np.arange(len(posts)))
    missing = posts.image.index(-1)
    has_grid, has_attributes = (batch.pictures[bank].mask.any(1) for bank in ("vision", "attributes"))
    assert has_grid.tolist() == has_attributes.tolist() == [i != missing for i in range(len(posts))]
    assert batch.pictures["vision"].values.shape == (len(posts), 49, 512)
    assert str(batch.pictures["vision"].values.dtype) == "torch.float16"


def test_padding_among_the_objects_of_an_image_is_masked(tmp_path: Path) -> None:
    objects = FeatureSpec("butd_objects", arrays=(ArraySpec("features", (36, 8)), ArraySpec("number", (), "int16")))
    posts = [fake_post(i, f"w{i}", ["tag"], "train") for i in range(3)]
    numbers = [36, 2, 0]
    rows = {
        post.image_sha256: {"features": np.ones((36, 8), np.float16), "number": np.int16(number)}
        for post, number in zip(posts, numbers, strict=True)
    }
    reader = Reader(Dataset(write_dataset(tmp_path, posts, {objects: rows})), ("objects",))
    found = reader.split("train")
    for part in (found, found[1:]):
        encoded = encode(part, Vocabularies.build(found, 10), inputs=("objects",))
        mask_bg = encoded.posts_batch(np.arange(len(part))).pictures["vision"].mask
        assert mask_bg.sum(1).tolist() == numbers[-len(part) :]
        assert mask_bg[-2].tolist() == [True] * 2 + [False] * 34


@given(ROWS, st.data())
def test_padded_rows_are_the_rows(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=5))
    values, mask = Ragged.from_rows(rows).padded(np.array(chosen))
    assert [v[m].tolist() for v, m in zip(values, mask, strict=True)] == [rows[i] for i in chosen]
    assert (values[~mask] == 0).all()


@given(st.lists(st.integers(1, 90), min_size=1, max_size=300), st.integers(1, 9), st.integers(0, 3))
def test_every_row_is_in_exactly_one_batch(lengths: list[int], size: int, seed: int) -> None:
    array = np.array(lengths)
    for batches in (list(batches_by_length(array, size)), shuffled_batches(array, size, np.random.default_rng(seed))):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        assert all(len(batch) <= size for batch in batches)
