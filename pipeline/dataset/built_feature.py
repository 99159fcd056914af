"""A feature of a dataset whose shards are all finished."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from m3h.pipeline.engine.shard_engine import UNEXPECTED, Receipt
from m3h.schemas.feature_versions import FeatureVersion, Slice
from m3h.schemas.features import FeatureSpec
from m3h.schemas.files import publish_json, publish_table
from m3h.schemas.inside import file_in
from m3h.schemas.posts import DROPPED_SCHEMA, dropped_row


@dataclass(frozen=True)
class BuiltFeature:
    """A feature of the dataset whose shards are all finished.

    parts: what the fingerprint was computed from.
    receipts: of its shards, in order.
    notes: what a reader must know.
    settings: the configuration it was computed with; empty where it came with the source.
    """

    spec: FeatureSpec
    fingerprint: str
    parts: Mapping[str, Any]
    receipts: Sequence[Receipt]
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in the manifest."""
        return self.spec.name

    @property
    def folder(self) -> str:
        """Its folder inside the dataset."""
        return f"features/{self.name}/{self.fingerprint}"

    @property
    def dropped_file(self) -> str:
        """The file that lists the images without a row, inside the dataset."""
        return f"dropped/{self.name}-{self.fingerprint}.parquet"

    def reasons(self) -> dict[str, int]:
        """Number of images without a row, by reason."""
        return dict(sorted(Counter(row.reason for receipt in self.receipts for row in receipt.dropped).items()))

    @property
    def unexpected(self) -> int:
        """Number of images lost to an unforeseen fault."""
        return self.reasons().get(UNEXPECTED, 0)

    @property
    def description_file(self) -> str:
        """The file that says what the fingerprint stands for, inside the dataset."""
        return f"{self.folder}/feature.json"

    def write_description(self, out: Path) -> None:
        """Write `description_file` below the folder `out`."""
        described = {"spec": self.spec.as_json(), "fingerprint": self.fingerprint, "parts": dict(self.parts)}
        publish_json(file_in(out, self.description_file), described)

    def write_dropped(self, out: Path) -> bool:
        """Write `dropped_file` below the folder `out`. Where every image has a row, write nothing and return False."""
        rows = sorted(row for receipt in self.receipts for row in receipt.dropped)
        if rows:
            table = pa.Table.from_pylist([dropped_row(row) for row in rows], schema=DROPPED_SCHEMA)
            publish_table(file_in(out, self.dropped_file), table)
        return bool(rows)

    def version(self) -> FeatureVersion:
        """This fingerprint's entry in the manifest."""
        return FeatureVersion(
            rows=sum(receipt.rows for receipt in self.receipts),
            dropped=self.reasons(),
            shards=tuple(receipt.file for receipt in self.receipts),
            slices=tuple(Slice(receipt.first, receipt.slice) for receipt in self.receipts),
            parts=dict(self.parts),
            settings=dict(self.settings),
            notes=tuple(self.notes),
        )
