"""What `train-attributes` can be told."""

import pydantic

from pipeline.extractors.backbone import BackboneSettings
from schemas.config import Settings


class FitRules(Settings):
    """How the head is fitted."""

    epochs: int = pydantic.Field(20, ge=1)
    batch_size: int = pydantic.Field(128, ge=1)
    learning_rate: float = pydantic.Field(1e-3, gt=0)
    weight_decay: float = pydantic.Field(0.01, ge=0)
    seed: int = 0  # of the order of pictures, and of which ones validate
    valid_percent: float = pydantic.Field(10.0, gt=0, lt=100)  # of the pictures, by a hash of their bytes


class TrainAttributesConfig(Settings):
    """The whole of `train-attributes`' configuration."""

    size: int = pydantic.Field(1000, ge=1)  # attributes that are counted; a list of the user's is taken whole
    min_images: int = pydantic.Field(2, ge=1)  # training pictures an attribute must have, if it is counted
    trunk: BackboneSettings = BackboneSettings()  # backbone, weights, device, precision …, as of features.attributes
    fit: FitRules = FitRules()
    cache: str = ""  # folder of the pictures' vectors; attribute-vectors beside the output if left out
