"""Features that the released dataset brings: its OCR words and attributes, imported under the pictures' URLs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3h.pipeline.dataset.suppression_list import SuppressionList
from m3h.pipeline.engine.shard_engine import Receipt, ShardTask, slice_digest
from m3h.pipeline.extractors.attributes import Attributes
from m3h.pipeline.extractors.tesseract import Tesseract
from m3h.pipeline.readers import cmkp
from m3h.pipeline.readers.dumps import DumpFile
from m3h.schemas.features import FeatureSpec, Row, fingerprint
from m3h.schemas.files import sha256_file
from m3h.schemas.inside import file_in
from m3h.schemas.posts import Post
from m3h.schemas.shards import shard_count, shard_slice, write_shard


@dataclass(frozen=True)
class Imported:
    """One feature read from line-aligned files.

    parts: what its fingerprint is computed from.
    rows: by image.
    conflicts: number of posts whose row differs from the row of an earlier post with the same picture.
    """

    spec: FeatureSpec
    parts: Mapping[str, Any]
    rows: Mapping[str, Row]
    conflicts: int

    @property
    def fingerprint(self) -> str:
        """The feature's fingerprint, computed as for any other feature."""
        return fingerprint(self.spec, self.parts)

    def write(self, out: Path, per_shard: int) -> list[Receipt]:
        """Write all shards below the folder `out`, in the layout of extracted features.

        Args:
            out: The folder.
            per_shard: Number of images in a shard.
        """
        images = sorted(self.rows)
        count = shard_count(len(images), per_shard)
        receipts = []
        for index in range(count):
            name = ShardTask(self.spec.name, self.fingerprint, index, count).file_name(self.spec.suffix)
            of_shard = images[shard_slice(index, per_shard)]
            rows = {image: self.rows[image] for image in of_shard}
            write_shard(file_in(out, name), self.spec, rows, fingerprint=self.fingerprint)
            receipts.append(
                Receipt(name, sha256_file(file_in(out, name)), len(of_shard), of_shard[0], slice_digest(of_shard))
            )
        return receipts


def import_features(dumps: Sequence[DumpFile], forgotten: SuppressionList) -> list[Imported]:
    """The features `ocr` and `attributes`, where the released dataset has their files. Forgotten posts are left out."""
    ocr = _collect(dumps, forgotten, ("ocr", "ocr_final"), spec=Tesseract.spec, make_row=_ocr_row)
    attributes = _collect(dumps, forgotten, ("attribute_cleaned",), spec=Attributes.spec, make_row=_attribute_row)
    return [feature for feature in (ocr, attributes) if feature.rows]


def _ocr_row(raw: str | None, final: str | None) -> Row:
    """raw: the text that Tesseract read. final: the words of it that the authors kept."""
    text = " ".join((raw if raw is not None else final or "").split())
    return {
        "text": text,
        "words": text.split(),
        "boxes": [],
        "confidences": [],
        "tokens": (final if final is not None else raw or "").split(),
    }


def _attribute_row(line: str | None) -> Row:
    return {"labels": (line or "").split(), "scores": []}


def _collect(
    dumps: Sequence[DumpFile],
    forgotten: SuppressionList,
    suffixes: Sequence[str],
    *,
    spec: FeatureSpec,
    make_row: Callable[..., Row],
) -> Imported:
    rows: dict[str, Row] = {}
    files: dict[str, str] = {}
    conflicts = 0
    for dump in dumps:
        folder, split = Path(dump.path).parent, Path(dump.path).name.removesuffix("_src.txt")
        columns = {suffix: cmkp.sidecar_lines(folder, split, suffix) for suffix in suffixes}
        present = {suffix: lines for suffix, lines in columns.items() if lines is not None}
        if not present:
            continue
        files |= {f"{split}_{suffix}": sha256_file(folder / f"{split}_{suffix}.txt") for suffix in present}
        for i, post in enumerate(cmkp.posts_of(folder, split)):
            if isinstance(post, Post) and post.post_id not in forgotten:
                row = make_row(*(present[suffix][i] if suffix in present else None for suffix in suffixes))
                conflicts += rows.setdefault(post.image_sha256, row) != row
    return Imported(spec, {"imported": "cmkp", "files": files}, rows, conflicts)
