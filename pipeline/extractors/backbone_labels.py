"""What a network sees in a picture: its most probable classes (of ImageNet), or those of your words that fit best."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pydantic

from m3h.pipeline.extractors.backbone import BackboneNetwork, NetworkSettings
from m3h.pipeline.extractors.backbones.of_open_clip import OfOpenClip
from m3h.schemas.errors import UsageError
from m3h.schemas.features import FeatureSpec, Row

if TYPE_CHECKING:
    import torch


class LabelSettings(NetworkSettings):
    """Options of `backbone_labels`.

    words: a file with one label a line: the names of the network's classes where these are not known, or what a network
    of open_clip looks for. prompt: the sentence about a word that open_clip's text tower reads.
    """

    top: int = pydantic.Field(5, ge=1)  # labels per picture
    words: str = ""
    prompt: str = "a photo of a {}."


class BackboneLabels(BackboneNetwork):
    """`labels`, best first, and `scores`: the softmax over all classes or words, 0 to 1."""

    feature = "backbone_labels"
    Settings = LabelSettings

    def __init__(self, settings: LabelSettings) -> None:
        super().__init__(settings)
        if isinstance(self.architecture, OfOpenClip) and "{}" not in settings.prompt:
            raise UsageError(
                f"features.backbone_labels.prompt: expected a sentence with {{}} in it, found {settings.prompt!r}."
            )

    def own_spec(self) -> FeatureSpec:
        """As `attributes`."""
        kinds = {"labels": pa.list_(pa.string()), "scores": pa.list_(pa.float32())}
        return FeatureSpec(self.feature, columns=tuple(kinds.items()))

    @cached_property
    def _words(self) -> tuple[str, ...]:
        if not self.settings.words:
            return self.architecture.classes()
        try:
            lines = Path(self.settings.words).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise UsageError(
                f"features.backbone_labels.words={self.settings.words}: not readable as text ({error})."
            ) from error
        words = tuple(" ".join(line.split()) for line in lines if line.strip())
        if not words:
            raise UsageError(f"features.backbone_labels.words={self.settings.words}: expected one label a line.")
        return words

    def fingerprint_parts(self) -> Mapping[str, object]:
        """As of every backbone; the number of labels, and all of their names."""
        words = hashlib.sha256("\n".join(self._words).encode()).hexdigest()
        own: dict[str, object] = {"top": self.settings.top, "words": f"sha256:{words}"}
        if isinstance(self.architecture, OfOpenClip):
            own["prompt"] = self.settings.prompt
        return {**super().fingerprint_parts(), **own}

    def fetch(self) -> None:
        """Try also whether there are as many names as the network has outputs, and whether words can be read."""
        super().fetch()
        if isinstance(self.architecture, OfOpenClip):
            self.architecture.try_text(self.settings.weights)
            return
        import torch

        side = self.preprocessing.side
        outputs, names = (
            self.architecture.empty()(torch.empty((1, 3, side, side), device="meta")).shape[-1],
            len(self._words),
        )
        if outputs != names:
            raise UsageError(
                f"features.backbone_labels: {self.settings.network} has {outputs} outputs, and {names} names are known "
                "for them. Name a file with one a line: features.backbone_labels.words=FILE"
            )

    def reader(self, network: "torch.nn.Module") -> "torch.nn.Module":
        """It gives logits (B, V) of the classes or words."""
        import torch

        from m3h.pipeline.extractors.backbones.layers import Compared

        self._words  # noqa: B018 (read in this thread, before rows are made)
        if not isinstance(self.architecture, OfOpenClip):
            return torch.nn.Identity()
        sentences = [self.settings.prompt.replace("{}", word) for word in self._words]
        settings = self.settings
        words_vd, scale = self.architecture.word_vectors(sentences, settings.weights, settings.seed)
        return Compared(words_vd, scale)

    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """outputs: logits (B, V). Labels with equal logits keep their order."""
        rows: list[Row] = []
        for logits_v in outputs[0].numpy().astype(np.float64):  # torch's last bit depends on the place in the batch
            weights_v = np.exp(logits_v - logits_v.max())
            best = np.argsort(-logits_v, kind="stable")[: self.settings.top]
            scores = (weights_v / weights_v.sum())[best]
            rows.append({"labels": [self._words[i] for i in best], "scores": scores.tolist()})
        return rows
