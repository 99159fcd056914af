"""How fast features were computed on this machine, so that `plan` can say how long more of them will take.

`.build-speeds.json` lies beside the dataset's files and is not part of it: times never stand in a hashed file.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import IntegrityError
from schemas.files import publish_json, read_json

if TYPE_CHECKING:
    from pipeline.publish import BuiltFeature

SPEEDS = ".build-speeds.json"

Measured = Mapping[str, float]
"""`images` looked at, and the `seconds` one process took for them."""


def read_speeds(dataset: Path) -> dict[str, dict[str, Measured]]:
    """feature -> fingerprint -> what was measured; empty where nothing was, or the file is of no use."""
    if not (dataset / SPEEDS).is_file():
        return {}
    try:
        return dict(read_json(dataset / SPEEDS))
    except (IntegrityError, TypeError, ValueError):  # whoever damaged it took away estimates, nothing else
        return {}


def remember_speeds(dataset: Path, features: Iterable["BuiltFeature"]) -> None:
    """Add what the receipts of finished shards tell; pictures whose rows were copied say nothing."""
    known = read_speeds(dataset)
    for feature in features:
        images = sum(receipt.computed for receipt in feature.receipts)
        seconds = sum(receipt.seconds for receipt in feature.receipts)
        if images and seconds:
            before = known.setdefault(feature.name, {}).get(feature.fingerprint, {"images": 0, "seconds": 0.0})
            total = {"images": before["images"] + images, "seconds": round(before["seconds"] + seconds, 3)}
            known[feature.name][feature.fingerprint] = total
    if known:
        publish_json(dataset / SPEEDS, known)


def seconds_for(
    speeds: Mapping[str, Mapping[str, Measured]], feature: str, fingerprint: str, images: int
) -> float | None:
    """What one process will take for `images`: as under this fingerprint, or else as under any other of the feature.

    None where the feature was never computed here.
    """
    mine = speeds.get(feature, {})
    measured = [mine[fingerprint]] if fingerprint in mine else list(mine.values())
    seen, seconds = (sum(one[name] for one in measured) for name in ("images", "seconds"))
    if images == 0:
        return 0.0
    return images * seconds / seen if seen else None
