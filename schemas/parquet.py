"""Parquet files that others may have written: read in small steps, so that a small file cannot fill the memory."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import IntegrityError

EXPANDS = 200
"""How many times a file's size its rows may take in memory; what we write takes up to about 100."""

ALWAYS = 256 << 20
"""So many bytes any file's rows may take."""

_ROWS = 1000  # read at a time, fewer of columns whose values may be long


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows. columns: None for all. IntegrityError where it is no Parquet, or far larger than it looks."""
    try:
        limit = ALWAYS + EXPANDS * path.stat().st_size
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            chunk = _largest_chunk(file.metadata)
            if chunk > limit or file.metadata.num_rows > limit:
                raise _bomb(path, limit)
            schema = file.schema_arrow
            if missing := [name for name in columns or () if name not in schema.names]:
                raise IntegrityError(f"{path}: it has no column {missing[0]}.")
            batches, size = [], 0
            for batch in file.iter_batches(max(1, min(_ROWS, limit // max(chunk, 1))), columns=columns):
                size += batch.nbytes
                if size > limit:
                    raise _bomb(path, limit)
                batches.append(batch)
    except (OSError, pa.ArrowException) as error:
        said = " ".join(str(error).split())[:200]
        raise IntegrityError(f"{path}: not a readable Parquet file ({said}). Run verify, then refresh.") from error
    kept = schema if columns is None else pa.schema([schema.field(name) for name in columns], schema.metadata)
    return pa.Table.from_batches(batches, kept).combine_chunks()


def _largest_chunk(metadata: pq.FileMetaData) -> int:
    """Bytes that the largest column of a row group says to take when it is decompressed."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    sizes = [group.column(i).total_uncompressed_size for group in groups for i in range(group.num_columns)]
    return max(sizes, default=0)


def _bomb(path: Path, limit: int) -> IntegrityError:
    return IntegrityError(f"{path}: {path.stat().st_size} bytes hold rows of more than {limit}: no dataset of ours.")
