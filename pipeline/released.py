"""Features that come with the released dataset: its OCR words and attributes, imported under the pictures' URLs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine import Receipt, ShardTask, slice_digest
from pipeline.extractors.attributes import Attributes
from pipeline.extractors.tesseract import Tesseract
from pipeline.forgotten import Forgotten
from pipeline.readers import cmkp
from pipeline.readers.dumps import DumpFile
from schemas.features import FeatureSpec, Row, fingerprint
from schemas.files import sha256_file
from schemas.posts import Post
from schemas.shards import shard_count, shard_slice, write_shard


@dataclass(frozen=True)
class Imported:
    """One feature read from line-aligned files. parts: of its fingerprint. conflicts: pictures with two readings."""

    spec: FeatureSpec
    parts: Mapping[str, Any]
    rows: Mapping[str, Row]
    conflicts: int

    @property
    def fingerprint(self) -> str:
        """As of any other feature."""
        return fingerprint(self.spec, self.parts)

    def write(self, out: Path, per_shard: int) -> list[Receipt]:
        """All shards, in the layout of extracted features."""
        images = sorted(self.rows)
        count = shard_count(len(images), per_shard)
        receipts = []
        for index in range(count):
            name = ShardTask(self.spec.name, self.fingerprint, index, count).file_name(self.spec.suffix)
            mine = images[shard_slice(index, per_shard)]
            write_shard(out / name, self.spec, {image: self.rows[image] for image in mine}, self.fingerprint)
            receipts.append(Receipt(name, sha256_file(out / name), len(mine), mine[0], slice_digest(mine)))
        return receipts


def import_features(dumps: Sequence[DumpFile], forgotten: Forgotten) -> list[Imported]:
    """`ocr` and `attributes`, each where the released dataset has its files; nothing of forgotten posts."""
    ocr = _collect(dumps, forgotten, ("ocr", "ocr_final"), Tesseract.spec, _ocr_row)
    attributes = _collect(dumps, forgotten, ("attribute_cleaned",), Attributes.spec, _attribute_row)
    return [feature for feature in (ocr, attributes) if feature.rows]


def _ocr_row(raw: str | None, final: str | None) -> Row:
    """raw: what Tesseract read; final: the words the authors kept of it."""
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
    forgotten: Forgotten,
    suffixes: Sequence[str],
    spec: FeatureSpec,
    make: Callable[..., Row],
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
                row = make(*(present[suffix][i] if suffix in present else None for suffix in suffixes))
                conflicts += rows.setdefault(post.image_sha256, row) != row
    return Imported(spec, {"imported": "cmkp", "files": files}, rows, conflicts)
