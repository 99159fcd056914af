"""A dataset in the file formats of other systems. Each format is one file here; `FORMATS` names them."""

from collections.abc import Callable
from pathlib import Path

from pipeline.export.hdf5 import write_adaptive_hdf5, write_fixed_hdf5
from pipeline.export.tsv import write_butd_tsv, write_lxmert_tsv
from pipeline.export.walk import Asked, Tally, Walk
from pipeline.export.webdataset import write_webdataset
from schemas.dataset import Dataset
from schemas.errors import UsageError, unknown_name
from schemas.posts import SPLITS

FORMATS: dict[str, Callable[[Walk, str, Path, Tally], None]] = {
    "butd-tsv": write_butd_tsv,
    "lxmert-tsv": write_lxmert_tsv,
    "vqa-hdf5": write_fixed_hdf5,
    "vqa-hdf5-adaptive": write_adaptive_hdf5,
    "webdataset": write_webdataset,
}
"""Writers of one split into a folder."""

OBJECTS = ("butd_objects", "detectron2_objects")


def export(dataset: Path, form: str, out: Path, asked: Asked) -> Tally:
    """Write each split of a finished dataset below `out` in another system's format.

    Feature files are checked against the manifest first. UsageError for an unknown format or split, a feature the
    dataset lacks, or a file that is there already.
    """
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    for split in asked.splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    data = Dataset(dataset)
    features = asked.features or _default_features(data, form)
    if form != "webdataset" and (len(features) != 1 or features[0] not in OBJECTS):
        raise UsageError(f"--feature: {form} holds the boxes of one feature, {' or '.join(OBJECTS)}.")
    walk = Walk(data, features, asked.key)
    tally = Tally()
    for split in asked.splits:
        FORMATS[form](walk, split, out, tally)
    return tally


def _default_features(data: Dataset, form: str) -> tuple[str, ...]:
    """All that there are; for formats of boxes, the first feature that has any."""
    if form == "webdataset":
        return tuple(sorted(data.manifest.features))
    have = [name for name in OBJECTS if data.has_feature(name)]
    if not have:
        raise UsageError(f"{data.folder}: {form} needs {' or '.join(OBJECTS)}, and it has neither. Build it first.")
    return (have[0],)
