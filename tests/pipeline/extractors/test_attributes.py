"""The feature `attributes`: a backbone as torchvision computes it, a head that fits it, labels best first."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from m3h.pipeline.attributes.vectors import Vectors
from m3h.pipeline.engine.shard_engine import ShardTask
from m3h.pipeline.extractors.attribute_head import RANDOM_WORDS, Head, _same_weights, read_head, vocabulary_path
from m3h.pipeline.extractors.attributes import Attributes, AttributeSettings
from m3h.pipeline.extractors.backbones.published import LABELS, label_of, published
from m3h.pipeline.extractors.backbones.trunk import Backbone, BackboneSettings
from m3h.pipeline.extractors.imagenet import imagenet_input
from m3h.pipeline.images.picture import Picture
from m3h.schemas.errors import UsageError
from m3h.schemas.features import fingerprint
from m3h.schemas.shards import read_table_shard
from tests.pipeline.fakes import picture, run_shard, stored_pictures

SMALL = "shufflenet_v2_x0_5"


def attributes(**settings: object) -> Attributes:
    given = {"backbone": SMALL, "weights": "random", "head": "random", "batch_size": 4, **settings}
    return Attributes(AttributeSettings.model_validate(given))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    folder = tmp_path_factory.mktemp("pictures")
    return [imagenet_input(Picture(picture(folder / f"{i}.jpg", i)).pixels) for i in range(4)]


def as_torchvision_does(name: str, inputs: list[np.ndarray], layout: torch.memory_format) -> np.ndarray:
    torch.manual_seed(0)
    network = models.get_model(name, weights=None).eval()
    network.fc = torch.nn.Identity()
    with torch.inference_mode():
        batch = torch.from_numpy(np.stack(inputs)).contiguous(memory_format=layout)
        return network.to(memory_format=layout)(batch).numpy()


@pytest.mark.parametrize("name", ["resnet18", pytest.param("resnet152", marks=pytest.mark.slow)])
def test_the_backbone_equals_torchvision_to_the_bit_in_our_layout_and_up_to_rounding_in_the_other(
    name: str, inputs: list[np.ndarray]
) -> None:
    extractor = Vectors(BackboneSettings(backbone=name, weights="random", batch_size=2))
    extractor.load()
    ours = np.stack([row["features"] for row in extractor.extract(inputs[:2])])
    assert ours.shape == (2, {"resnet18": 512, "resnet152": 2048}[name])
    np.testing.assert_array_equal(ours, as_torchvision_does(name, inputs[:2], torch.channels_last))
    plain = as_torchvision_does(name, inputs[:2], torch.contiguous_format)
    assert np.abs(ours - plain).max() < 1e-5 * np.abs(plain).max()


@pytest.mark.parametrize("name", ["resnet18", SMALL])
def test_a_row_has_the_same_bits_whether_its_picture_is_computed_alone_or_with_others(
    name: str, inputs: list[np.ndarray]
) -> None:
    extractor = attributes(backbone=name, top=len(RANDOM_WORDS))
    extractor.load()
    together = extractor.extract(inputs)
    assert len({str(row) for row in together}) == len(inputs)
    for i, value in enumerate(inputs):
        assert extractor.extract([value] * 4)[3] == together[i]


def test_labels_are_the_highest_logits_best_first_and_scores_their_sigmoids() -> None:
    extractor = attributes(top=3)
    extractor._words = ("sea", "dog", "man", "red")
    (row, tied) = extractor.rows([torch.tensor([[-1.0, 0.0, 2.0, -3.0], [1.0, 1.0, 1.0, 1.0]])])
    assert row["labels"] == ["man", "dog", "sea"]
    np.testing.assert_allclose(row["scores"], [0.880797, 0.5, 0.268941], atol=1e-6)
    assert tied["labels"] == ["sea", "dog", "man"], "equal logits keep the vocabulary's order"


def test_the_trainer_can_read_the_shards(tmp_path: Path) -> None:
    dataset = tmp_path / "d"
    images = stored_pictures(dataset, 3)
    extractor = attributes()
    extractor.load()
    receipt = run_shard(ShardTask("attributes", "fp", 0, 1), images, extractor, dataset, tmp_path / "out")
    table = read_table_shard(tmp_path / "out" / receipt.file)
    assert table.schema.equals(Attributes.spec.table_schema())
    assert table["image_sha256"].to_pylist() == images
    for labels, scores in zip(table["labels"].to_pylist(), table["scores"].to_pylist(), strict=True):
        assert len(set(labels)) == 5
        assert set(labels) <= set(RANDOM_WORDS)
        assert scores == sorted(scores, reverse=True)


@pytest.fixture
def head(tmp_path: Path) -> Path:
    backbone = Backbone(SMALL, "random", 0)
    weight = torch.arange(2048.0).reshape(2, 1024)
    Head(("sea", "dog"), weight, torch.tensor([1.0, -1.0]), SMALL, backbone.identity()).write(
        tmp_path / "h.safetensors"
    )
    return tmp_path / "h.safetensors"


def test_the_fingerprint_changes_exactly_when_labels_or_scores_can_change(head: Path) -> None:
    def found(**settings: object) -> str:
        extractor = attributes(**settings)
        return fingerprint(extractor.spec, extractor.fingerprint_parts())

    first = found(head=str(head))
    kept = [found(head=str(head), device="cpu"), found(head=str(head), accelerator="type:x;count:1")]
    others = [found(), found(seed=1), found(backbone="resnet18"), found(top=3), found(precision="bf16")]
    others += [found(batch_size=2), found(head=str(head), top=3)]
    loaded = read_head(head, Backbone(SMALL, "random", 0))
    Head(("sea", "cat"), loaded.weight, loaded.bias, loaded.backbone, loaded.weights).write(head)
    others.append(found(head=str(head)))
    assert set(kept) == {first}
    assert len({first, *others}) == 1 + len(others)


def test_a_written_head_is_read_unchanged(head: Path) -> None:
    found = read_head(head, Backbone(SMALL, "random", 0))
    assert found.words == ("sea", "dog")
    logits = found.layer()(torch.ones(1, 1024))
    torch.testing.assert_close(logits, torch.tensor([[1.0 + 1023 * 512, -1.0 + 1023 * 512 + 1024 * 1024]]))


def refusal(head: Path, **settings: object) -> str:
    with pytest.raises(UsageError) as caught:
        attributes(**{"head": str(head), **settings}).network()
    return str(caught.value)


def test_a_head_of_another_backbone_is_refused_and_the_error_names_both(head: Path) -> None:
    assert "trained on shufflenet_v2_x0_5 with weights random seed 0" in refusal(head, seed=1)
    assert "but the settings say resnet18 with random seed 0" in refusal(head, backbone="resnet18")


def test_a_head_whose_files_do_not_belong_together_is_refused(head: Path) -> None:
    vocabulary_path(head).write_text('["sea", "cat"]')
    assert "h.safetensors was trained with" in refusal(head)
    vocabulary_path(head).unlink()
    assert "expected h.vocabulary.json in" in refusal(head)
    assert "there is no such file" in refusal(head.with_name("none.safetensors"))


def test_files_that_are_not_a_head_are_refused(head: Path) -> None:
    save_file({"weight": torch.zeros(2, 1024)}, head)
    assert "expected metadata of the layout 'm3h attribute head 1', got '{}'" in refusal(head)
    head.write_bytes(b"no tensors here")
    assert "not readable as safetensors" in refusal(head)


def test_a_head_of_the_wrong_shape_is_refused(head: Path) -> None:
    identity = Backbone(SMALL, "random", 0).identity()
    Head(("sea", "dog"), torch.zeros(3, 1024), torch.zeros(2), SMALL, identity).write(head)
    expected = "expected tensors {'bias': (2,), 'weight': (2, 1024)}, got {'bias': (2,), 'weight': (3, 1024)}"
    assert expected in refusal(head)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("random seed 0 torch 2", "random seed 0 torch 2", True),
        ("random seed 0 torch 2", "random seed 1 torch 2", False),
        ("torchvision X.V1 resnet152-394f9c45.pth", "sha256:394f9c45aaaa", True),
        ("sha256:394f9c45aaaa", "torchvision X.V1 resnet152-394f9c45.pth", True),
        ("torchvision X.V1 resnet152-394f9c45.pth", "sha256:494f9c45aaaa", False),
        ("sha256:394f9c45aaaa", "sha256:394f9c45bbbb", False),
    ],
)
def test_published_weights_count_as_the_same_when_downloaded_or_given_as_a_file(
    one: str, other: str, same: bool
) -> None:
    assert _same_weights(one, other) is same


def test_wrong_settings_are_usage_errors() -> None:
    with pytest.raises(UsageError, match=r"no backbone named 'resnet153'. Did you mean 'resnet15?2?'"):
        attributes(backbone="resnet153").fingerprint_parts()
    with pytest.raises(UsageError, match="backbone squeezenet1_1: expected a network that ends in a linear layer"):
        Backbone("squeezenet1_1", "random", 0).network()
    with pytest.raises(UsageError, match=r"features.attributes.head: expected a file made by .*, or `random`"):
        attributes(head="").fingerprint_parts()


def test_the_backbone_loads_weights_from_a_file(tmp_path: Path, inputs: list[np.ndarray]) -> None:
    torch.manual_seed(5)
    whole = models.get_model(SMALL, weights=None).eval()
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    trunk = Backbone(SMALL, str(tmp_path / "w.pth"), 0).network().eval()
    whole.fc = torch.nn.Identity()
    batch = torch.from_numpy(np.stack(inputs))
    with torch.inference_mode():
        torch.testing.assert_close(trunk(batch), whole(batch), rtol=0, atol=0)


def test_the_stored_labels_are_those_of_torchvision() -> None:
    assert {model: label_of(published(model)) for model in LABELS} == LABELS


def test_random_weights_are_reported() -> None:
    assert attributes(weights="default").notes() == [
        f"attributes has a random head over the words {', '.join(RANDOM_WORDS)}: for trials only."
    ]
    assert attributes(head="h.safetensors").notes() == ["attributes has random weights: for trials only."]


def test_the_papers_backbone_is_the_default_with_its_first_published_weights() -> None:
    settings = AttributeSettings()
    assert (settings.backbone, settings.top) == ("resnet152", 5)
    assert Backbone.of(settings).identity() == "torchvision ResNet152_Weights.IMAGENET1K_V1 resnet152-394f9c45.pth"
