"""Files that lie beside a set of pictures and only tell of it, such as those of img2dataset: they are no dumps."""

import logging
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from m3h.pipeline.readers.image_text import archive

log = logging.getLogger(__name__)

_ENDINGS = (".parquet", "_stats.json", ".idx")
_CARD = re.compile(r"(?:readme|licen[cs]e)(?:\.(?:md|txt|rst))?|dataset_infos\.json", re.IGNORECASE)
_NAMED = 3


def without_sidecars(files: Sequence[Path], folders: Collection[Path] = ()) -> list[Path]:
    """Dump files without those that only tell of a set, which are named in one line.

    `00000.parquet`, `00000_stats.json` and `00000.idx` tell of `00000.tar`, or of the folder `00000`. A readme and a
    licence tell of the folders in theirs that are sets.

    Args:
        files: all that were found.
        folders: those of them, or beside them, that are sets.
    """
    stems = {path.with_suffix("") for path in files if path.suffix == ".tar"}
    about = {path: stem for path in files if (stem := _stem(path)) in stems or stem in folders}
    sets = {stem for stem in set(about.values()) if stem in folders or archive.is_set(f"{stem}.tar")}
    left_out = {path for path, stem in about.items() if stem in sets}
    left_out |= {path for path in files if _CARD.fullmatch(path.name) and any(map(_below(path.parent), folders))}
    if left_out:
        names = sorted(path.name for path in left_out)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        log.warning("note: %s%s: about pictures of a set, no records; not read.", ", ".join(names[:_NAMED]), more)
    return [path for path in files if path not in left_out]


def _below(folder: Path) -> Callable[[Path], bool]:
    return lambda path: path.is_relative_to(folder)


def _stem(path: Path) -> Path | None:
    """The set that a file tells of, by its name."""
    ending = next((ending for ending in _ENDINGS if path.name.endswith(ending)), "")
    stem = path.name.removesuffix(ending)
    return path.with_name(stem) if ending and stem else None
