"""The registry of image features, one line per feature. Listing them imports no model."""

import importlib
from typing import Any

import pydantic

from m3h.pipeline.extractors.base import Extractor
from m3h.schemas.config import Settings
from m3h.schemas.errors import unknown_name

EXTRACTORS = {  # name: "module:Class"
    "ocr": "m3h.pipeline.extractors.tesseract:Tesseract",
    "detectron2_objects": "m3h.pipeline.extractors.detectron2_objects:Detectron2Objects",
    "vgg_grid": "m3h.pipeline.extractors.vgg_grid:VggGrid",
    "butd_objects": "m3h.pipeline.extractors.butd_objects:ButdObjects",
    "attributes": "m3h.pipeline.extractors.attributes:Attributes",
}


def extractor_class(name: str) -> type[Extractor]:
    """The class registered as `name`. UsageError for an unknown name; it suggests the nearest one."""
    if name not in EXTRACTORS:
        raise unknown_name("extractor", name, EXTRACTORS)
    module, _, attribute = EXTRACTORS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def settings_of_all() -> type[Settings]:
    """A configuration class with one field per extractor. Each field has the extractor's registered name."""
    fields: dict[str, Any] = {name: (kind := extractor_class(name).Settings, kind()) for name in EXTRACTORS}
    return pydantic.create_model("FeatureSettings", __base__=Settings, **fields)
