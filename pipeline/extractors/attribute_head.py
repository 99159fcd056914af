"""The linear layer that predicts a picture's attributes (the head), and the two files that store it.

NAME.safetensors        tensors `weight` (V, D) and `bias` (V,), float32: logits = weight @ vector + bias. The metadata
                        has one entry `head`, because several entries have no fixed order. It is a JSON object:
                        layout     "m3h attribute head 1"
                        backbone   torchvision's name of the network that computes the vectors of width D
                        weights    identity of that network's weights, as in a feature's fingerprint
                        vocabulary sha256 of the file below
NAME.vocabulary.json    the V words as a JSON list; word i belongs to row i
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from m3h.pipeline.extractors.backbones.trunk import Backbone
from m3h.schemas.errors import UsageError
from m3h.schemas.features import canonical_json
from m3h.schemas.files import json_text, publish, publish_text, read_json, sha256_file

if TYPE_CHECKING:
    import torch

LAYOUT = "m3h attribute head 1"
_FIELDS = {"backbone", "weights", "vocabulary"}
RANDOM = "random"
RANDOM_WORDS = ("man", "woman", "people", "shirt", "sign", "table", "street", "white", "black", "red", "blue", "small")
"""The vocabulary of a random head."""


@dataclass(frozen=True)
class Head:
    """An attribute head.

    words: the V attributes. weight: (V, D). bias: (V,). backbone, weights: name and weights' identity of the network
    that computes its input vectors.
    """

    words: tuple[str, ...]
    weight: "torch.Tensor"
    bias: "torch.Tensor"
    backbone: str
    weights: str

    def write(self, path: Path) -> None:
        """Write both files, each atomically. `read_head` refuses a head with the vocabulary of another one."""
        from safetensors.torch import save_file

        vocabulary = vocabulary_path(path)
        publish_text(vocabulary, json_text(list(self.words)))
        description = {"layout": LAYOUT, "backbone": self.backbone, "weights": self.weights}
        metadata = {"head": canonical_json({**description, "vocabulary": sha256_file(vocabulary)})}
        tensors = {"weight": self.weight.contiguous(), "bias": self.bias.contiguous()}
        publish(path, lambda temp: save_file(tensors, temp, metadata=metadata))

    def layer(self) -> "torch.nn.Linear":
        """The layer, (B, D) -> logits (B, V)."""
        import torch

        layer = torch.nn.Linear(self.weight.shape[1], len(self.words), device="meta")
        layer.load_state_dict({"weight": self.weight, "bias": self.bias}, assign=True)
        return layer


def vocabulary_path(path: Path) -> Path:
    """The file with the words of the head in `path`."""
    return path.with_suffix(".vocabulary.json")


def random_head(backbone: Backbone) -> Head:
    """A head with seeded random weights over RANDOM_WORDS, for trials."""
    import torch

    generator = torch.Generator().manual_seed(backbone.seed)
    weight = torch.randn(len(RANDOM_WORDS), backbone.width, generator=generator) / backbone.width**0.5
    return Head(RANDOM_WORDS, weight, torch.zeros(len(RANDOM_WORDS)), backbone.name, backbone.identity())


def describe(path: Path, backbone: Backbone) -> dict[str, str]:
    """The sha256 of a head's two files, without reading a tensor.

    UsageError unless the files belong together and the head was trained on `backbone`.
    """
    import safetensors

    vocabulary = vocabulary_path(path)
    for file in (path, vocabulary):
        if not file.is_file():
            raise UsageError(f"attribute head {path}: expected {file.name} in {file.parent}, there is no such file.")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            description = json.loads((file.metadata() or {}).get("head", "{}"))
    except (OSError, safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise UsageError(f"attribute head {path}: not readable as safetensors ({error}).") from error
    if not isinstance(description, dict) or description.get("layout") != LAYOUT or not description.keys() >= _FIELDS:
        raise UsageError(
            f"attribute head {path}: expected metadata of the layout '{LAYOUT}', got {str(description)[:100]!r}. "
            "Make it with `m3h train-attributes`."
        )
    found = sha256_file(vocabulary)
    if found != description["vocabulary"]:
        raise UsageError(
            f"{vocabulary}: sha256 is {found}, {path.name} was trained with {description['vocabulary']}. "
            "Train it again."
        )
    _check_backbone(path, description, backbone)
    return {"head": f"sha256:{sha256_file(path)}", "vocabulary": f"sha256:{found}"}


def read_head(path: Path, backbone: Backbone) -> Head:
    """Read a head that `Head.write` wrote.

    UsageError as from `describe`, and for a vocabulary or tensors that do not fit.
    """
    from safetensors.torch import load_file

    describe(path, backbone)
    words = read_json(vocabulary_path(path))
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UsageError(f"{vocabulary_path(path)}: expected a JSON list of words.")
    # Copies, because the last bit of a product depends on the address modulo 64, and a file's tensors lie anywhere.
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in sorted(tensors.items())}
    expected = {"bias": (len(words),), "weight": (len(words), backbone.width)}
    if shapes != expected:
        raise UsageError(f"attribute head {path}: expected tensors {expected}, got {shapes}.")
    return Head(tuple(words), tensors["weight"], tensors["bias"], backbone.name, backbone.identity())


def _check_backbone(path: Path, description: dict[str, str], backbone: Backbone) -> None:
    identity = backbone.identity()
    if description["backbone"] != backbone.name or not _same_weights(description["weights"], identity):
        raise UsageError(
            f"attribute head {path}: trained on {description['backbone']} with weights {description['weights']}, but "
            f"the settings say {backbone.name} with {identity}. Set features.attributes.backbone and "
            "features.attributes.weights as in the training."
        )


def _same_weights(first: str, second: str) -> bool:
    """Whether two identities mean the same weights. torchvision's file names end in 8 digits of the file's sha256."""
    digests = {text.removeprefix("sha256:")[:8] for text in (first, second) if text.startswith("sha256:")}
    names = [text for text in (first, second) if text.startswith("torchvision ")]
    return first == second or (len(digests) == len(names) == 1 and names[0].endswith(f"-{digests.pop()}.pth"))
