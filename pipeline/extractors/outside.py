"""Extractors that other installed packages bring: entry points of the group `m3h.extractors`, NAME = module:Class."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from m3h.pipeline.extractors.base import Extractor
from m3h.schemas.config import Settings
from m3h.schemas.errors import UsageError

GROUP = "m3h.extractors"


@dataclass(frozen=True)
class OutsideExtractor:
    """One name that packages outside this project offer.

    point: where its class is. package: the distribution and its version, `colours 1.0`.
    clash: why it cannot be used although it may be sound; "" where its name is its own.
    """

    name: str
    point: EntryPoint
    package: str
    clash: str = ""

    def load(self) -> type[Extractor]:
        """Its class. UsageError, one line that names the package, where it cannot be used."""
        if self.clash:
            raise UsageError(self.clash)
        try:
            kind = self.point.load()
        except Exception as error:  # whatever is wrong with that package costs only its own feature
            raise self.fault(error) from error
        if not (isinstance(kind, type) and issubclass(kind, Extractor)):
            raise self.fault(f"expected a subclass of m3h.pipeline.extractors.base.Extractor, found {kind!r}")
        try:
            if not issubclass(kind.Settings, Settings):
                raise TypeError(f"Settings must be a subclass of m3h.schemas.config.Settings, found {kind.Settings!r}")
            kind.Settings()
        except Exception as error:  # such as a field without a default
            raise self.fault(error) from error
        return kind

    def fault(self, problem: object) -> UsageError:
        """The one line for a fault of this package."""
        kind = f"{type(problem).__name__}: " if isinstance(problem, BaseException) else ""
        said = " ".join(f"{kind}{problem}".split())[:300]
        return UsageError(
            f"extractor {self.name} of {self.package} ({self.point.value}): {said}. Repair or uninstall that package."
        )


@cache
def outside_extractors(own: Collection[str]) -> dict[str, OutsideExtractor]:
    """Every name that packages offer, sorted. Nothing is imported to find them.

    own: this project's names, which no package can take.
    """
    by_name: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        by_name.setdefault(point.name, []).append(point)
    return {name: _offered(name, points, own) for name, points in sorted(by_name.items())}


def _offered(name: str, points: list[EntryPoint], own: Collection[str]) -> OutsideExtractor:
    packages = sorted({_package(point) for point in points})
    clash = ""
    if name in own:
        clash = f"extractor {name} of {packages[0]}: the name is taken by m3h's own extractor, which is the one used"
    elif len(points) > 1:
        clash = f"extractor {name}: offered by {' and by '.join(packages)}, so neither is used. Uninstall one of them"
    elif not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) or hasattr(Settings, name):
        clash = (
            f"extractor {name!r} of {packages[0]}: expected a name of lower-case letters, digits and _ that is no "
            "attribute of a pydantic model"
        )
    return OutsideExtractor(name, points[0], packages[0], f"{clash}." if clash else "")


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
