"""Archives of image-text sets, as img2dataset and webdataset write them."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

Member = tuple[str, bytes]


def tar_of(members: Iterable[Member]) -> bytes:
    """An archive of files by name, in this order; a name may come twice."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def pair(key: str, picture: bytes, described: Mapping[str, object] | str) -> list[Member]:
    """The files of one record: its picture, and its text or the JSON of its fields."""
    if isinstance(described, str):
        return [(f"{key}.jpg", picture), (f"{key}.txt", described.encode())]
    return [(f"{key}.jpg", picture), (f"{key}.json", json.dumps(described).encode())]


def write_set(path: Path, records: Iterable[list[Member]]) -> Path:
    """An archive of records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_of(member for record in records for member in record))
    return path


def zip_of(members: Iterable[Member]) -> bytes:
    """A zip archive of files by name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return packed.getvalue()
