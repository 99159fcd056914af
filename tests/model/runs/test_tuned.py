"""A run whose sentence encoder is tuned: it predicts as when it was trained, and what is refused in one line."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from m3h.model.api import load
from m3h.model.config import Config, stored_config
from m3h.model.data.altered import alter
from m3h.model.data.sentences import SentenceEncoder
from m3h.model.ranking.label_clues import TUNED_CLUES
from m3h.model.ranking.phrase_clues import PHRASE_CLUES
from m3h.model.ranking.tuned_scores import KEPT
from m3h.model.runs.evaluate import open_run
from m3h.model.runs.experiment import train_run
from m3h.model.runs.run import Run
from m3h.model.runs.tuned import TUNED_FILE
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.files import publish_json
from tests.model.fakes import fake_post, write_dataset

TEXTS = {
    "pets": ("my dog barks at the mailman", "a kitten sleeps on her sofa", "our hamster runs in its wheel"),
    "heavy rain": ("heavy rain floods every street", "heavy rain with hail tonight", "snow falls over this city"),
    "music": ("she sings along with the radio", "that band plays guitar live", "listening to his new album"),
}
HELD = {"pets": "puppies wagging tails", "heavy rain": "so heavy rain and tornadoes", "music": "violin concert"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        labelled = [(text, topic) for topic in TEXTS for text in TEXTS[topic]]
        posts = [fake_post(i, text, [topic], "train") for i, (text, topic) in enumerate(labelled)]
        for split in ("valid", "test"):
            posts += [fake_post(i, text, [topic], split) for i, (topic, text) in enumerate(HELD.items())]
        dataset = Dataset(write_dataset(tmp_path_factory.mktemp("tuned") / "data", posts, {}))
        folder = tmp_path_factory.mktemp("run")
        fields = {"sentence_tuning_epochs": 6, "sentence_tuning_layers": 1, "epochs": 6, "batch_size": 4, "threads": 1}
        config = Config.model_validate({"system": "m3h-best", **fields})
        train_run(config, dataset, folder, progress=lambda batches, title: batches)
        yield open_run(folder)


def test_the_pieces_of_a_text_know_their_tokens_and_further_words_are_of_none() -> None:
    pieces = SentenceEncoder.find("minilm").word_pieces([["thunderstorming", "now"], [], ["a"]], [["sale"], [], []], 64)
    ids, words = ([column.padded(np.array([row]))[0][0] for row in range(3)] for column in (pieces.ids, pieces.words))
    assert words[0].tolist() == [-1, *[0] * (len(words[0]) - 5), 1, -1, -1, -1]
    assert len(words[0]) > 6
    assert words[1].tolist() == [-1] * len(ids[1])
    assert words[2].tolist() == [-1, 0, -1]
    cut = SentenceEncoder.find("minilm").word_pieces([["now"] * 9], [[]], 5)
    assert cut.words.values.tolist() == [-1, 0, 1, 2, -1]


def test_a_tuned_run_predicts_as_when_it_was_trained(trained: Run) -> None:
    assert trained.tuned is not None
    found = [ranked[0].phrase for ranked in load(trained.folder).predict(list(HELD.values()))]
    lines = (trained.folder / "predictions" / "test.jsonl").read_text().splitlines()
    assert [f'"phrase": "{name}"' in line for name, line in zip(found, lines, strict=True)] == [True] * len(HELD)
    assert found == list(HELD)


def test_phrases_of_a_text_that_are_no_label_are_given_and_said_to_be_of_the_text(trained: Run) -> None:
    labels = trained.vocabularies.labels.words
    for text, ranked in zip(HELD.values(), load(trained.folder).predict(list(HELD.values())), strict=True):
        sources = {phrase.phrase: phrase.attribution for phrase in ranked}
        of_text = {phrase for phrase in sources if phrase not in labels}
        assert of_text
        assert all(f" {phrase} " in f" {text} " for phrase in of_text)
        assert {name for name, source in sources.items() if source == "text"} == of_text


def test_a_post_with_fewer_phrases_than_another_has_no_names_of_others(trained: Run) -> None:
    found = load(trained.folder).predict(["puppies", *HELD.values()])
    labels = set(trained.vocabularies.labels.words[1:])
    assert {phrase.phrase for phrase in found[0]} <= {*labels, "puppies"}


def test_where_scores_alone_rank_labels_no_phrase_of_a_text_is_a_candidate(trained: Run, tmp_path: Path) -> None:
    """A phrase that is no label has no score."""
    fields = {"label_feature_width": 0, "text_phrases": 5, "sentence_tuning_epochs": 1, "sentence_tuning_layers": 1}
    config = Config.model_validate({"system": "m3h-best", **fields, "epochs": 1, "threads": 1})
    train_run(config, Dataset(trained.metadata.dataset), tmp_path, progress=lambda batches, title: batches)
    labels = set(trained.vocabularies.labels.words[1:])
    (found,) = load(tmp_path).predict(["puppies wagging tails"])
    assert {phrase.phrase for phrase in found} == labels


def test_a_generator_has_no_phrases_of_the_text_as_labels(trained: Run, tmp_path: Path) -> None:
    fields = {"label_features": "all", "text_encoder": "minilm", "sentence_tuning_epochs": 1, "text_phrases": 5}
    config = Config.model_validate({"system": "gen-cls-m3h+krr", **fields, "drop_inputs": ["attributes", "vision"]})
    with pytest.raises(UsageError, match=r"text_phrases: the generator of gen-cls-m3h\+krr copies phrases"):
        train_run(config, Dataset(trained.metadata.dataset), tmp_path, progress=lambda batches, title: batches)


def test_no_more_phrases_are_candidates_than_are_remembered() -> None:
    assert Config(system="m3h-best", text_phrases=KEPT).phrase_candidates == KEPT
    with pytest.raises(ValidationError, match="text_phrases"):
        Config(system="m3h-best", text_phrases=KEPT + 1)


def test_without_the_encoder_its_tuned_layers_say_nothing(trained: Run) -> None:
    posts = trained.reader(Dataset(trained.metadata.dataset)).split("test")
    for some, says in ((posts, True), (alter(posts, {"without": ["text_encoder"]}), False)):
        evidence = trained.encode(some).evidence
        assert evidence is not None
        assert evidence.feature_mf[:, -len(TUNED_CLUES) - len(PHRASE_CLUES) :].any() == says
        assert any(evidence.phrases) == says


def test_a_missing_and_a_damaged_tuned_encoder_are_one_line(trained: Run) -> None:
    file = trained.folder / TUNED_FILE
    content = file.read_bytes()
    try:
        for damaged in (content[: len(content) // 2], None):
            file.unlink()
            if damaged is not None:
                file.write_bytes(damaged)
            with pytest.raises(IntegrityError, match=TUNED_FILE):
                open_run(trained.folder)
            file.touch()
    finally:
        file.write_bytes(content)


def test_a_tuned_encoder_of_other_sizes_is_one_line(trained: Run) -> None:
    file = trained.folder / "config.json"
    content = file.read_text()
    try:
        publish_json(file, {**trained.config.model_dump(mode="json"), "sentence_tuning_layers": 2})
        with pytest.raises(IntegrityError, match="not the tuned encoder of this run"):
            open_run(trained.folder)
    finally:
        file.write_text(content)


def test_a_run_of_before_the_encoder_was_tuned_keeps_it_frozen(tmp_path: Path) -> None:
    publish_json(tmp_path / "config.json", {"system": "m3h-best"})
    stored = stored_config(tmp_path / "config.json")
    assert (stored["sentence_tuning_epochs"], stored["text_phrases"]) == (0, 0)
    publish_json(tmp_path / "config.json", {"system": "m3h-best", "sentence_tuning_epochs": 3})
    stored = stored_config(tmp_path / "config.json")
    assert (stored["sentence_tuning_epochs"], stored["text_phrases"]) == (3, 0)
    assert Config(system="m3h-best").sentence_tuning_epochs > 0 == Config(system="cls-krr").sentence_tuning_epochs


def test_an_encoder_of_another_architecture_cannot_be_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder.find("minilm")
    monkeypatch.setattr(encoder.transformer.config, "model_type", "mpnet")
    with pytest.raises(
        UsageError, match="only an encoder of the architecture bert can be tuned, and this one is mpnet"
    ):
        _ = encoder.transformer
