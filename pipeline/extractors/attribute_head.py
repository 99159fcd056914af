"""The linear layer that names a picture's attributes, and the two files it is kept in.

NAME.safetensors        tensors `weight` (V, D) and `bias` (V,), float32: logits = weight @ vector + bias. Its metadata
                        has one entry, `head` (several would be written in any order), a JSON object:
                        layout     "m3h attribute head 1"
                        backbone   torchvision's name of the network whose vectors (D wide) it reads
                        weights    identity of that network's weights, as in a feature's fingerprint
                        vocabulary sha256 of the file below
NAME.vocabulary.json    the V words as a JSON list; word i belongs to row i
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.extractors.backbone import Backbone
from schemas.errors import UsageError
from schemas.features import canonical_json
from schemas.files import json_text, publish, publish_text, read_json, sha256_file

if TYPE_CHECKING:
    import torch

LAYOUT = "m3h attribute head 1"
_FIELDS = {"backbone", "weights", "vocabulary"}
RANDOM = "random"
RANDOM_WORDS = ("man", "woman", "people", "shirt", "sign", "table", "street", "white", "black", "red", "blue", "small")
"""What a random head chooses from."""


@dataclass(frozen=True)
class Head:
    """words: V. weight: (V, D). bias: (V,). backbone, weights: of the network whose vectors it reads."""

    words: tuple[str, ...]
    weight: "torch.Tensor"
    bias: "torch.Tensor"
    backbone: str
    weights: str

    def write(self, path: Path) -> None:
        """Both files, each whole or not at all; a head beside another one's vocabulary is refused when it is read."""
        from safetensors.torch import save_file

        beside = vocabulary_path(path)
        publish_text(beside, json_text(list(self.words)))
        told = {"layout": LAYOUT, "backbone": self.backbone, "weights": self.weights}
        metadata = {"head": canonical_json({**told, "vocabulary": sha256_file(beside)})}
        tensors = {"weight": self.weight.contiguous(), "bias": self.bias.contiguous()}
        publish(path, lambda temp: save_file(tensors, temp, metadata=metadata))

    def layer(self) -> "torch.nn.Linear":
        """(B, D) -> logits (B, V)."""
        import torch

        layer = torch.nn.Linear(self.weight.shape[1], len(self.words), device="meta")
        layer.load_state_dict({"weight": self.weight, "bias": self.bias}, assign=True)
        return layer


def vocabulary_path(path: Path) -> Path:
    """Where the words of the head in `path` lie."""
    return path.with_suffix(".vocabulary.json")


def random_head(backbone: Backbone) -> Head:
    """A seeded head over a few frequent words, for trials."""
    import torch

    generator = torch.Generator().manual_seed(backbone.seed)
    weight = torch.randn(len(RANDOM_WORDS), backbone.width, generator=generator) / backbone.width**0.5
    return Head(RANDOM_WORDS, weight, torch.zeros(len(RANDOM_WORDS)), backbone.name, backbone.identity())


def describe(path: Path, backbone: Backbone) -> dict[str, str]:
    """sha256 of a head's two files. UsageError unless they belong together and to `backbone`; no tensor is read."""
    import safetensors

    beside = vocabulary_path(path)
    for file in (path, beside):
        if not file.is_file():
            raise UsageError(f"attribute head {path}: expected {file.name} in {file.parent}, there is no such file.")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            told = json.loads((file.metadata() or {}).get("head", "{}"))
    except (OSError, safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise UsageError(f"attribute head {path}: not readable as safetensors ({error}).") from error
    if not isinstance(told, dict) or told.get("layout") != LAYOUT or not told.keys() >= _FIELDS:
        raise UsageError(
            f"attribute head {path}: expected metadata of the layout '{LAYOUT}', got {str(told)[:100]!r}. "
            "Make it with `python -m pipeline train-attributes`."
        )
    found = sha256_file(beside)
    if found != told["vocabulary"]:
        raise UsageError(
            f"{beside}: sha256 is {found}, {path.name} was trained with {told['vocabulary']}. Train it again."
        )
    _refuse_other_trunk(path, told, backbone)
    return {"head": f"sha256:{sha256_file(path)}", "vocabulary": f"sha256:{found}"}


def read_head(path: Path, backbone: Backbone) -> Head:
    """Inverse of `Head.write`; all that `describe` refuses is refused, and tensors of other shapes are, too."""
    from safetensors.torch import load_file

    describe(path, backbone)
    words = read_json(vocabulary_path(path))
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UsageError(f"{vocabulary_path(path)}: expected a JSON list of words.")
    tensors = load_file(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in sorted(tensors.items())}
    expected = {"bias": (len(words),), "weight": (len(words), backbone.width)}
    if shapes != expected:
        raise UsageError(f"attribute head {path}: expected tensors {expected}, got {shapes}.")
    return Head(tuple(words), tensors["weight"], tensors["bias"], backbone.name, backbone.identity())


def _refuse_other_trunk(path: Path, told: dict[str, str], backbone: Backbone) -> None:
    mine = backbone.identity()
    if told["backbone"] != backbone.name or not _same(told["weights"], mine):
        raise UsageError(
            f"attribute head {path}: trained on {told['backbone']} with weights {told['weights']}, but this is "
            f"{backbone.name} with {mine}. Set features.attributes.backbone and features.attributes.weights alike."
        )


def _same(one: str, other: str) -> bool:
    """Whether two identities are of the same weights; torchvision's file names end in eight digits of their sha256."""
    digests = {text.removeprefix("sha256:")[:8] for text in (one, other) if text.startswith("sha256:")}
    names = [text for text in (one, other) if text.startswith("torchvision ")]
    return one == other or (len(digests) == len(names) == 1 and names[0].endswith(f"-{digests.pop()}.pth"))
