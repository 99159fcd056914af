"""Reads Parquet files that others may have written, in small steps: a small file must not fill the memory."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from m3h.schemas.errors import IntegrityError

MAX_EXPANSION = 200
"""How many times a file's size its rows may take in memory. The files we write take up to about 100 times."""

ALWAYS_ALLOWED = 256 << 20
"""Bytes that the rows of any file may take in memory, however small the file is."""

_ROWS = 1000  # read at a time; fewer where the values of a column may be long
_STEPS = 4  # at least so many reads fill what a file may take: one read must not go far beyond it


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a Parquet file.

    Args:
        path: The file.
        columns: The columns to read. None for all.

    Raises:
        IntegrityError: The file is no Parquet, has no such column, or its rows take far more memory than its size.
    """
    try:
        limit = ALWAYS_ALLOWED + MAX_EXPANSION * path.stat().st_size
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            chunk = _largest_chunk(file.metadata)
            if chunk > limit or file.metadata.num_rows > limit:
                raise _too_large(path, limit)
            schema = file.schema_arrow
            if missing := [name for name in columns or () if name not in schema.names]:
                raise IntegrityError(f"{path}: it has no column {missing[0]}.")
            batches, size = [], 0
            for batch in file.iter_batches(max(1, min(_ROWS, limit // (_STEPS * max(chunk, 1)))), columns=columns):
                size += batch.nbytes
                if size > limit:
                    raise _too_large(path, limit)
                batches.append(batch)
    except (OSError, pa.ArrowException) as error:
        message = " ".join(str(error).split())[:200]
        raise IntegrityError(f"{path}: not a readable Parquet file ({message}). Run verify, then refresh.") from error
    kept = schema if columns is None else pa.schema([schema.field(name) for name in columns], schema.metadata)
    return pa.Table.from_batches(batches, kept).combine_chunks()


def _largest_chunk(metadata: pq.FileMetaData) -> int:
    """Decompressed size in bytes that the file states for its largest column of a row group."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    sizes = [group.column(i).total_uncompressed_size for group in groups for i in range(group.num_columns)]
    return max(sizes, default=0)


def _too_large(path: Path, limit: int) -> IntegrityError:
    return IntegrityError(f"{path}: {path.stat().st_size} bytes hold rows of more than {limit}: no dataset of ours.")
