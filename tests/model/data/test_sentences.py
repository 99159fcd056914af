"""A frozen sentence encoder as a further bank: what it adds, its cache, and what is refused in one line."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from m3h.model.api import load
from m3h.model.config import Config
from m3h.model.data import sentences
from m3h.model.data.altered import alter
from m3h.model.data.posts import Reader
from m3h.model.data.sentences import Pieces, SentenceEncoder, cache_folder
from m3h.model.data.tensor_files import save_tensors
from m3h.model.networks.attention import M3HAttention
from m3h.model.networks.label_names import NameClassifier
from m3h.model.runs import run
from m3h.model.runs.evaluate import Changes, evaluate_run, open_run
from m3h.model.runs.experiment import train_run
from m3h.model.runs.run import Run
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_json, read_json
from tests.model.fakes import fake_post, write_dataset

try:
    from sentence_transformers.sentence_transformer.modules import BoW
except ImportError:  # where earlier versions have it
    from sentence_transformers.models import BoW

TRAIN = {
    "pets": ("my dog barks at the mailman", "a kitten sleeps on her sofa", "our hamster runs in its wheel"),
    "weather": ("heavy rain floods every street", "thunderstorm with hail tonight", "snow falls over this city"),
    "music": ("she sings along with the radio", "that band plays guitar live", "listening to his new album"),
    "food": ("baking bread with butter", "such delicious pizza", "soup and salad for lunch"),
}
TEST = {
    "pets": "puppies wagging tails",
    "weather": "blizzards, tornadoes expected",
    "music": "violin concert by an orchestra",
    "food": "grilled chicken recipes",
}
SMALL: dict[str, Any] = {
    **{"word_width": 8, "width": 16, "heads": 2, "head_width": 4, "encoder_layers": 1, "text_layers": 1, "threads": 1},
    **{"batch_size": 4, "epochs": 15, "patience": 15, "learning_rate": 0.01, "dropout": 0.0, "beam": 3, "n_best": 2},
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield cache_folder()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Test posts share no word with the training posts of their topic, and only meaning tells the topic."""
    posts = [fake_post(i, text, [topic], "train") for topic in TRAIN for i, text in enumerate(TRAIN[topic])]
    for split in ("valid", "test"):
        posts += [fake_post(i, TEST[topic], [topic], split) for i, topic in enumerate(TEST)]
    posts = [fake_post(i, " ".join(p.tokens), list(p.keyphrases or ()), p.split) for i, p in enumerate(posts)]
    return Dataset(write_dataset(tmp_path_factory.mktemp("sentences") / "data", posts, {}))


def trained(dataset: Dataset, folder: Path, **fields: Any) -> Run:
    train_run(Config(**{**SMALL, **fields}), dataset, folder, progress=lambda batches, title: batches)
    return open_run(folder)


@pytest.fixture(scope="module")
def network(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    fields = {"system": "cls-m3h", "text_encoder": "minilm", "standardize_vision": True}
    return trained(dataset, tmp_path_factory.mktemp("network"), **fields)


def topic_of(run: Run) -> list[str]:
    return [ranked[0].phrase for ranked in load(run.folder).predict(list(TEST.values()))]


def test_texts_that_share_no_word_are_compared_by_what_they_mean(dataset: Dataset, tmp_path: Path) -> None:
    seeing = trained(dataset, tmp_path / "seeing", system="cls-krr", text_encoder="minilm")
    assert topic_of(seeing) == list(TEST)
    blind = trained(dataset, tmp_path / "blind", system="cls-krr")
    assert topic_of(blind) != list(TEST)
    nothing = trained(dataset, tmp_path / "nothing", system="cls-krr", text_encoder="minilm", sentence_weight=0)
    assert topic_of(nothing) == topic_of(blind)


def test_a_network_attends_to_the_states_and_learns_from_them(network: Run) -> None:
    assert network.metadata.inputs == ["text", "text_encoder"]
    assert network.metadata.channels == {"text_encoder": 384}
    assert isinstance(network.model.fusion, M3HAttention)
    assert network.model.fusion.pairs == [("text_encoder", "text"), ("text", "text_encoder")]
    assert topic_of(network) == list(TEST)
    whole = evaluate_run(network.folder, None, "test", definition="cmkp")
    without = evaluate_run(
        network.folder, None, "test", definition="cmkp", changes=Changes(ways={"without": ["text_encoder"]})
    )
    assert whole["all"]["f1@1"] == 1.0 > without["all"]["f1@1"]


def test_states_are_those_of_the_library_and_padding_is_masked(dataset: Dataset) -> None:
    encoder = SentenceEncoder.find("minilm")
    model = SentenceTransformer(str(encoder.folder), device="cpu", local_files_only=True)
    posts = encoder.attach(Reader(dataset, ()).split("test"), keep=False)
    values_blc, mask_bl = posts.cells["text_encoder"].of(np.array([1, -1, 3]))
    wanted = model.encode([TEST["weather"], TEST["food"]], output_value="token_embeddings")
    assert mask_bl.sum(1).tolist() == [len(wanted[0]), 0, len(wanted[1])]
    assert values_blc.shape[2] == 384
    torch.testing.assert_close(values_blc[0][mask_bl[0]].float(), wanted[0], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(values_blc[2][mask_bl[2]].float(), wanted[1], atol=2e-3, rtol=2e-3)
    part = posts.at([3, 1])
    assert part.numbers("text_encoder").tolist() == [3, 1]
    assert alter(posts, {"without": ["text_encoder"]}).numbers("text_encoder").tolist() == [-1] * 4
    assert sorted(alter(posts, {"shuffle": ["text_encoder"]}).numbers("text_encoder").tolist()) == [0, 1, 2, 3]
    noise_blc, noise_mask_bl = alter(posts, {"noise": ["text_encoder"]}).cells["text_encoder"].of(np.array([1, -1, 3]))
    assert torch.equal(noise_mask_bl, mask_bl)
    assert not torch.equal(noise_blc, values_blc)


def test_texts_are_encoded_once_and_a_damaged_cache_is_made_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    encoder, texts = SentenceEncoder.find("minilm"), ["one text", "and another"]
    first = encoder.states(texts)
    file = max((cache / encoder.sha256[:16]).iterdir(), key=lambda path: path.stat().st_mtime_ns)
    with monkeypatch.context() as patch:
        patch.setattr(SentenceEncoder, "_model", None)
        again = SentenceEncoder.find("minilm").states(texts)
        assert torch.equal(again.features, first.features)
        with pytest.raises(AttributeError):
            SentenceEncoder.find("minilm").states(["one text and", "another"])
    file.write_bytes(b"{}")
    assert torch.equal(encoder.states(texts).features, first.features)
    assert "encoded again" in caplog.text
    save_tensors(file, {"others": torch.zeros(1)})
    assert torch.equal(encoder.states(texts).features, first.features)
    assert "expected states and offsets, found others" in caplog.text
    assert torch.equal(SentenceEncoder.find("minilm").states(texts).features, first.features)


def test_of_many_texts_the_mean_states_are_kept(
    cache: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at a time; a system that only compares texts ranks by them as by the states."""
    texts = ["one text", "and another", "of all texts the last one"]
    states = SentenceEncoder.find("minilm").states(texts).pooled(np.arange(3)).values
    by_states = trained(dataset, tmp_path / "states", system="cls-krr", text_encoder="minilm")
    monkeypatch.setattr(sentences, "MANY", 2)
    monkeypatch.setattr(run, "MANY", 2)
    means = SentenceEncoder.find("minilm").means(texts)
    assert means.features.shape == (3, 384)
    torch.testing.assert_close(means.pooled(np.arange(3)).values, states, atol=2e-3, rtol=2e-3)
    by_means = trained(dataset, tmp_path / "means", system="cls-krr", text_encoder="minilm")
    assert list(cache.rglob("*.means.safetensors"))
    posts = Reader(dataset, ()).split("test")
    scores = [one.encode(posts).posts_batch(np.arange(4)).score_bn for one in (by_states, by_means)]
    torch.testing.assert_close(*scores, atol=2e-3, rtol=2e-3)


def test_texts_that_are_predicted_are_not_kept(cache: Path, network: Run) -> None:
    before = set(cache.rglob("*"))
    assert topic_of(network) == list(TEST)
    assert set(cache.rglob("*")) == before


def test_what_is_no_encoder_or_another_one_is_one_line(dataset: Dataset, network: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected minilm, or a folder with a modules\.json"):
        trained(dataset, tmp_path / "none", system="cls-m3h", text_encoder=str(tmp_path))
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "config.json").write_text("no JSON")
    with pytest.raises(UsageError, match="no sentence encoder") as error:
        trained(dataset, tmp_path / "broken", system="cls-m3h", text_encoder=str(tmp_path))
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="gen-copy has no part for text_encoder"):
        trained(dataset, tmp_path / "copy", system="gen-copy", text_encoder="minilm")
    stored = read_json(network.folder / "run.json")
    try:
        publish_json(network.folder / "run.json", {**stored, "text_encoder": "0" * 64})
        with pytest.raises(UsageError, match=r"trained with text_encoder=minilm of sha256 000000000000, but .* now is"):
            open_run(network.folder)
    finally:
        publish_json(network.folder / "run.json", stored)


def test_a_part_of_posts_has_the_states_of_its_own(dataset: Dataset, network: Run) -> None:
    posts = network.reader(dataset).split("train")
    encoder = network.text_encoder
    assert encoder is not None
    rows = np.array([0])
    whole, part = (encoder.attach(some, keep=False) for some in (posts, posts[5:6]))
    expected = whole.cells["text_encoder"].of(whole.numbers("text_encoder")[5:6])
    torch.testing.assert_close(part.cells["text_encoder"].of(part.numbers("text_encoder")[rows]), expected)


def test_each_state_is_of_the_word_whose_letters_it_has(dataset: Dataset) -> None:
    encoder = SentenceEncoder.find("minilm")
    posts = Reader(dataset, ()).split("test")
    tokens = ["so", "thunderstorming", "!", "#got", "<mention>"]
    some = encoder.attach(replace(posts[:2], tokens=[tokens, ["hail"] * 300]), keep=False, words=True)
    pieces = some.sentences
    assert isinstance(pieces, Pieces)
    assert pieces.word_s is not None
    words_bl = pieces.words_of(np.array([0, 1, -1]))
    model = SentenceTransformer(str(encoder.folder), device="cpu", local_files_only=True)
    of_each = [model.tokenizer.tokenize(token) for token in tokens]  # a token ends at a space, and so do its pieces
    expected = [-1, *(i for i, of in enumerate(of_each) for _ in of), -1]
    assert len(of_each[1]) > 1
    assert words_bl[0, : len(expected)].tolist() == expected
    assert words_bl[1, :256].tolist() == [-1, *range(254), -1]  # the encoder reads 256 pieces
    assert (words_bl[2] == -1).all()
    with pytest.raises(TypeError, match="are not known"):
        encoder.attach(posts, keep=False).sentences.words_of(np.array([0]))  # type: ignore[union-attr]


def test_an_encoder_that_cannot_tell_the_words_of_its_pieces_is_one_line(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = SentenceEncoder.find("minilm")
    model = SentenceTransformer(str(encoder.folder), device="cpu", local_files_only=True)
    monkeypatch.setattr(type(model.tokenizer), "is_fast", False)
    with pytest.raises(UsageError, match="has no tokenizer of the library tokenizers"):
        encoder.attach(Reader(dataset, ()).split("test"), keep=False, words=True)


def test_a_unified_system_reads_states_of_words_and_names_of_labels(dataset: Dataset, tmp_path: Path) -> None:
    fields = {"system": "gen-cls-m3h", "text_encoder": "minilm", "classifier": "names", "word_states": True}
    fields |= {"label_pointer": True}
    run = trained(dataset, tmp_path / "run", **fields, warmup_epochs=3)
    assert isinstance(run.model.classifier, NameClassifier)
    torch.testing.assert_close(run.model.classifier.name_nv.norm(dim=-1), torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0]))
    assert topic_of(run) == list(TEST)


def test_a_cache_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    encoder = SentenceEncoder.find("minilm")
    for folder in (tmp_path / "file", Path("/proc")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
        caplog.clear()
        assert encoder.states(["a text"]).channels == 384
        assert "The states are not kept" in caplog.text


def test_an_encoder_without_states_of_pieces_and_a_damaged_one_are_one_line(tmp_path: Path) -> None:
    SentenceTransformer(modules=[BoW(["a", "b"])]).save(str(tmp_path / "bag"))
    with pytest.raises(UsageError, match="expected an encoder with a state for each word piece"):
        SentenceEncoder.find(str(tmp_path / "bag")).states(["a b"])
    (tmp_path / "modules.json").write_text("3")
    with pytest.raises(UsageError, match="no sentence encoder"):
        SentenceEncoder.find(str(tmp_path)).states(["a b"])


def test_a_run_finds_its_encoder_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine", "minilm"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "modules.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    assert Config(text_encoder="mine").text_encoder == str(tmp_path / "mine")
    assert Config(text_encoder="minilm").text_encoder == "minilm"
    assert Config().text_encoder == ""
