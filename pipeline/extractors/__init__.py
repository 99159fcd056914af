"""Registry of image features: one line each. Listing them imports no model."""

import importlib
from typing import Any

import pydantic

from pipeline.extractors.base import Extractor
from schemas.config import Settings
from schemas.errors import unknown_name

EXTRACTORS = {  # name: "module:Class"
    "ocr": "pipeline.extractors.tesseract:Tesseract",
    "detectron2_objects": "pipeline.extractors.detectron2_objects:Detectron2Objects",
    "vgg_grid": "pipeline.extractors.vgg_grid:VggGrid",
    "butd_objects": "pipeline.extractors.butd_objects:ButdObjects",
    "attributes": "pipeline.extractors.attributes:Attributes",
}


def extractor_class(name: str) -> type[Extractor]:
    """The class registered as `name`; UsageError with the nearest name otherwise."""
    if name not in EXTRACTORS:
        raise unknown_name("extractor", name, EXTRACTORS)
    module, _, attribute = EXTRACTORS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def settings_of_all() -> type[Settings]:
    """A configuration class with one field an extractor, named as it is registered."""
    fields: dict[str, Any] = {name: (kind := extractor_class(name).Settings, kind()) for name in EXTRACTORS}
    return pydantic.create_model("FeatureSettings", __base__=Settings, **fields)
