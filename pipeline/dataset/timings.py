"""How fast features were computed on this machine, so that `plan` can estimate how long more of them will take.

`.build-speeds.json` is beside the dataset's files and not part of the dataset. Times are never written to hashed files.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import publish_json, read_json
from m3h.schemas.inside import file_in, has_file

if TYPE_CHECKING:
    from m3h.pipeline.dataset.built_feature import BuiltFeature

SPEEDS = ".build-speeds.json"

Measured = Mapping[str, float]
"""The number of `images` that were computed, and the `seconds` that one process took for them."""


def read_timings(dataset: Path) -> dict[str, dict[str, Measured]]:
    """feature -> fingerprint -> what was measured. Empty where nothing was measured or the file is unreadable."""
    if not has_file(dataset, SPEEDS):
        return {}
    try:
        return dict(read_json(file_in(dataset, SPEEDS)))
    except (IntegrityError, TypeError, ValueError):  # a damaged file costs only estimates
        return {}


def remember_timings(dataset: Path, features: Iterable["BuiltFeature"]) -> None:
    """Add the times in the receipts of finished shards. Pictures whose rows were copied do not count."""
    known = read_timings(dataset)
    for feature in features:
        images = sum(receipt.computed for receipt in feature.receipts)
        seconds = sum(receipt.seconds for receipt in feature.receipts)
        if images and seconds:
            before = known.setdefault(feature.name, {}).get(feature.fingerprint, {"images": 0, "seconds": 0.0})
            total = {"images": before["images"] + images, "seconds": round(before["seconds"] + seconds, 3)}
            known[feature.name][feature.fingerprint] = total
    if known:
        publish_json(file_in(dataset, SPEEDS), known)


def seconds_for(
    speeds: Mapping[str, Mapping[str, Measured]], feature: str, fingerprint: str, *, images: int
) -> float | None:
    """The estimated seconds that one process takes. None where the feature was never computed here.

    Args:
        speeds: What was measured, as `read_timings` gives it.
        feature: Its name.
        fingerprint: Its measurements are used, or where there are none, those of all other fingerprints.
        images: Number of images to compute.
    """
    of_feature = speeds.get(feature, {})
    measured = [of_feature[fingerprint]] if fingerprint in of_feature else list(of_feature.values())
    computed, seconds = (sum(timing[name] for timing in measured) for name in ("images", "seconds"))
    if images == 0:
        return 0.0
    return images * seconds / computed if computed else None
