"""VGG-16 grid (§3.1): the 7 x 7 cells of the last convolution, 512 channels each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from pipeline.extractors import weights as weight_files
from pipeline.extractors.base import Extractor
from pipeline.images import decode
from schemas.config import Settings
from schemas.features import ArraySpec, FeatureSpec, Row

SIDE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VggSettings(Settings):
    """Options of the `vgg_grid` feature."""

    weights: str = "default"  # default (torchvision's ImageNet), random, or a file
    seed: int = 0  # of random weights
    batch_size: int = pydantic.Field(8, ge=1)  # the last bits depend on it, so it is part of the fingerprint


class VggGrid(Extractor):
    """(49, 512) a picture, cell 7*y + x: torchvision's VGG-16 up to its adaptive pooling.

    The picture is resized to 224 x 224 (Lanczos, aspect ratio ignored) and normalised with ImageNet's mean and
    standard deviation. Computed in fp32, channels last, with one thread.
    """

    Settings = VggSettings
    spec = FeatureSpec("vgg_grid", arrays=(ArraySpec("features", (49, 512)),), version=2)  # turned pictures are upright

    def __init__(self, settings: VggSettings) -> None:
        super().__init__(settings)
        self.batch_size = settings.batch_size

    @property
    def _default(self) -> Any:
        from torchvision.models import VGG16_Weights

        return VGG16_Weights.IMAGENET1K_V1

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Weights, preprocessing, precision, layout and batch size."""
        options = self.settings
        return {
            "weights": weight_files.identity(options.weights, options.seed, self._default),
            "resize": [SIDE, SIDE, "lanczos"],
            "normalise": [MEAN, STD],
            "compute": "float32 channels_last",
            "batch_size": options.batch_size,
        }

    def notes(self) -> list[str]:
        """Random weights are said aloud."""
        return ["vgg_grid has random weights: for trials only."] if self.settings.weights == weight_files.RANDOM else []

    def fetch(self) -> None:
        """torchvision's weights, where the network allows."""
        if self.settings.weights == weight_files.DEFAULT:
            weight_files.state_dict(self.settings.weights, self._default)

    def load(self) -> None:
        """Build the network and fill it."""
        import torch
        from torchvision.models import vgg16

        torch.set_num_threads(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            network = vgg16(weights=None)
        trunk = torch.nn.Sequential()
        trunk.add_module("features", network.features)
        if self.settings.weights != weight_files.RANDOM:
            tensors = weight_files.state_dict(self.settings.weights, self._default)
            weight_files.load_strictly(trunk, tensors, self.settings.weights)
        trunk.append(network.avgpool)
        self._trunk = trunk.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def prepare(self, image: Path) -> Any:
        """(3, 224, 224) float32."""
        import numpy as np
        from PIL import Image

        pixels = decode(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        scaled = np.asarray(pixels, dtype=np.float32) / 255.0
        return ((scaled - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).transpose(2, 0, 1)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """A batch of prepared pictures."""
        import numpy as np
        import torch

        batch_bchw = torch.from_numpy(np.stack(inputs)).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            grid_bchw = self._trunk(batch_bchw)  # (B, 512, 7, 7)
        return [{"features": grid_lc} for grid_lc in grid_bchw.flatten(2).mT.contiguous().numpy()]
