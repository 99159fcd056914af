"""Attributes (§3.1): the nouns and adjectives of a picture with the highest probability by a layer on ResNet-152."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pydantic

from m3h.pipeline.extractors import attribute_head
from m3h.pipeline.extractors.backbones.trunk import BackboneExtractor, BackboneSettings
from m3h.schemas.errors import UsageError
from m3h.schemas.features import FeatureSpec, Row

if TYPE_CHECKING:
    import torch


class AttributeSettings(BackboneSettings):
    """Options of `attributes`. weights, seed: of the backbone. seed: also of a random head."""

    head: str = ""  # a file from train-attributes, with its vocabulary beside it; or random
    top: int = pydantic.Field(5, ge=1)  # labels per picture


class Attributes(BackboneExtractor):
    """`labels`, best first, and `scores`: the sigmoid of each label's logit, 0 to 1. The scores do not sum to 1.

    Labels with equal logits keep the order of the vocabulary. A dataset that was imported without scores has none.
    """

    Settings = AttributeSettings
    spec = FeatureSpec(
        "attributes",
        columns=(("labels", pa.list_(pa.string())), ("scores", pa.list_(pa.float32()))),
    )

    @property
    def _is_random(self) -> bool:
        return self.settings.head == attribute_head.RANDOM

    def fingerprint_parts(self) -> Mapping[str, object]:
        """Backbone, head, vocabulary, number of labels, preprocessing, precision, layout and batch size."""
        return {**super().fingerprint_parts(), "top": self.settings.top, **self._head_identity()}

    def _head_identity(self) -> dict[str, str]:
        if not self.settings.head:
            raise UsageError(
                "features.attributes.head: expected a file made by `m3h train-attributes`, or `random` "
                "for a trial; got nothing."
            )
        if self._is_random:
            return {"head": f"random seed {self.settings.seed}", "vocabulary": " ".join(attribute_head.RANDOM_WORDS)}
        return attribute_head.describe(Path(self.settings.head), self.backbone)

    def notes(self) -> list[str]:
        """A warning for each part with random weights."""
        words = ", ".join(attribute_head.RANDOM_WORDS)
        warning = [f"attributes has a random head over the words {words}: for trials only."] if self._is_random else []
        return [*super().notes(), *warning]

    def network(self) -> "torch.nn.Module":
        """The backbone and the head."""
        import torch

        backbone, file = self.backbone, Path(self.settings.head)
        head = attribute_head.random_head(backbone) if self._is_random else attribute_head.read_head(file, backbone)
        self._words = head.words
        return torch.nn.Sequential(backbone.network(), head.layer())

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """outputs: logits (B, V)."""
        logits_bv = outputs[0]
        order = logits_bv.argsort(dim=1, descending=True, stable=True)[:, : self.settings.top]
        return [
            {"labels": [self._words[i] for i in best], "scores": [sigmoid(logits[i]) for i in best]}
            for best, logits in zip(order.tolist(), logits_bv.tolist(), strict=True)
        ]


def sigmoid(logit: float) -> float:
    """The sigmoid of one number. It does not use torch, whose last bit depends on the position in the batch."""
    decay = math.exp(-abs(logit))
    return (1.0 if logit >= 0 else decay) / (1.0 + decay)
