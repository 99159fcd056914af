"""The registry of image features, one line per feature. Listing them imports no model."""

import importlib
from typing import Any

import pydantic

from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.extractors.outside import OutsideExtractor, outside_extractors
from m3h.schemas.config import Settings
from m3h.schemas.errors import UsageError, unknown_name

EXTRACTORS = {  # name: "module:Class"
    "ocr": "m3h.pipeline.extractors.tesseract:Tesseract",
    "detectron2_objects": "m3h.pipeline.extractors.detectron2_objects:Detectron2Objects",
    "vgg_grid": "m3h.pipeline.extractors.vgg_grid:VggGrid",
    "butd_objects": "m3h.pipeline.extractors.butd_objects:ButdObjects",
    "attributes": "m3h.pipeline.extractors.attributes:Attributes",
    "backbone": "m3h.pipeline.extractors.backbone:BackboneFeature",
    "backbone_labels": "m3h.pipeline.extractors.backbone_labels:BackboneLabels",
}
"""This project's own. Other packages offer more, see `outside.py`."""


def known_extractors() -> list[str]:
    """Every name: this project's own, and those that other packages offer."""
    return list(dict.fromkeys([*EXTRACTORS, *_outside()]))


def extractor_class(name: str) -> type[Extractor]:
    """The class registered as `name`.

    UsageError for an unknown name, it suggests the nearest one; or for another package's extractor that is broken.
    """
    if name in EXTRACTORS:
        module, _, attribute = EXTRACTORS[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    if name not in _outside():
        raise unknown_name("extractor", name, known_extractors())
    return _outside()[name].load()


def make_extractor(name: str, settings: Any) -> Extractor:
    """The extractor registered as `name`, which knows the package that it came from. UsageError as `extractor_class`.

    settings: of the class that the extractor names.
    """
    if name in EXTRACTORS:
        return extractor_class(name)(settings)
    kind, origin = extractor_class(name), _outside()[name]
    try:
        made = kind(settings)
        found = made.spec.name
    except UsageError:
        raise
    except Exception as error:  # of a package that is not ours
        raise origin.fault(error) from error
    if found != name:
        raise origin.fault(f"expected a spec named {name}, found one named {found}")
    made.package = origin.package
    return made


def outside_faults() -> list[str]:
    """One line for each extractor of another package that cannot be used. This imports all of them."""
    faults = []
    for name in _outside():
        try:
            _outside()[name].load()
        except UsageError as error:
            faults.append(str(error))
    return faults


def outside_names() -> list[str]:
    """`NAME of PACKAGE VERSION` for each extractor that another package offers."""
    return [f"{name} of {offered.package}" for name, offered in _outside().items()]


def settings_of_all() -> type[Settings]:
    """A configuration class with one field per extractor. Each field has the extractor's registered name."""
    fields: dict[str, Any] = {}
    for name in known_extractors():
        kind = _settings_class(name)
        fields[name] = (kind, kind())
    return pydantic.create_model("FeatureSettings", __base__=Settings, **fields)


class UnreadSettings(Settings):
    """Settings of an extractor that is broken: kept as they are, because who asks for the extractor learns why."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")


def _settings_class(name: str) -> type[Settings]:
    try:
        return extractor_class(name).Settings
    except UsageError:
        return UnreadSettings


def _outside() -> dict[str, OutsideExtractor]:
    return outside_extractors(frozenset(EXTRACTORS))
