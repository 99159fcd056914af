"""The configuration of `train-attributes`."""

import pydantic

from m3h.pipeline.extractors.backbones.trunk import BackboneSettings
from m3h.schemas.config import Settings


class FitRules(Settings):
    """How the head is trained."""

    epochs: int = pydantic.Field(20, ge=1)
    batch_size: int = pydantic.Field(128, ge=1)
    learning_rate: float = pydantic.Field(1e-3, gt=0)
    weight_decay: float = pydantic.Field(0.01, ge=0)
    seed: int = 0  # for the order of the pictures and for the choice of the validation pictures
    valid_percent: float = pydantic.Field(10.0, gt=0, lt=100)  # percent of the pictures; a hash of their bytes decides


class TrainAttributesConfig(Settings):
    """The whole configuration of `train-attributes`."""

    size: int = pydantic.Field(1000, ge=1)  # most attributes in a counted vocabulary; a user's list is used completely
    min_images: int = pydantic.Field(2, ge=1)  # fewest training pictures with an attribute of a counted vocabulary
    trunk: BackboneSettings = BackboneSettings()  # backbone, weights, device, precision …, as in features.attributes
    fit: FitRules = FitRules()
    cache: str = ""  # folder of the pictures' vectors; by default attribute-vectors beside the output
