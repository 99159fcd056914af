"""Exports a dataset in the file formats of other systems. `FORMATS` lists the formats."""

from collections.abc import Callable
from pathlib import Path

from m3h.pipeline.export.hdf5 import write_adaptive_hdf5, write_fixed_hdf5
from m3h.pipeline.export.samples import ExportRequest, ExportResult, Samples
from m3h.pipeline.export.tsv import write_butd_tsv, write_lxmert_tsv
from m3h.pipeline.export.webdataset import write_webdataset
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError, unknown_name
from m3h.schemas.posts import SPLITS

FORMATS: dict[str, Callable[[Samples, str, Path], ExportResult]] = {
    "butd-tsv": write_butd_tsv,
    "lxmert-tsv": write_lxmert_tsv,
    "vqa-hdf5": write_fixed_hdf5,
    "vqa-hdf5-adaptive": write_adaptive_hdf5,
    "webdataset": write_webdataset,
}
"""The writer of each format. It writes one split into a folder."""

OBJECT_FEATURES = ("butd_objects", "detectron2_objects")


def export(dataset: Path, format_name: str, out: Path, *, request: ExportRequest) -> ExportResult:
    """Write splits of a finished dataset in another system's format.

    The feature files are compared with the manifest first. UsageError also for an unknown format or split, a feature
    that the dataset does not have, or a file that already exists.

    Args:
        dataset: the folder of the dataset.
        format_name: a key of FORMATS.
        out: the folder for the files.
        request: which splits and features are exported.

    Raises:
        UsageError: the format needs exactly one feature with boxes.
    """
    if format_name not in FORMATS:
        raise unknown_name("format", format_name, FORMATS)
    for split in request.splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    data = Dataset(dataset)
    features = request.features or _default_features(data, format_name)
    if format_name != "webdataset" and (len(features) != 1 or features[0] not in OBJECT_FEATURES):
        raise UsageError(f"--feature: {format_name} holds the boxes of one feature, {' or '.join(OBJECT_FEATURES)}.")
    samples = Samples(data, features, request.key)
    result = ExportResult()
    for split in request.splits:
        result.add(FORMATS[format_name](samples, split, out))
    return result


def _default_features(data: Dataset, format_name: str) -> tuple[str, ...]:
    """All features of the dataset; for formats with boxes, the first feature that has boxes."""
    if format_name == "webdataset":
        return tuple(sorted(data.manifest.features))
    available = [name for name in OBJECT_FEATURES if data.has_feature(name)]
    if not available:
        raise UsageError(
            f"{data.folder}: {format_name} needs {' or '.join(OBJECT_FEATURES)}, and it has neither. Build it first."
        )
    return (available[0],)
