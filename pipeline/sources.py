"""Where a dataset's records come from, and what an earlier build of the same dataset came from.

`.build.json` beside the dataset's files remembers the paths of dumps and picture folders, so that a later command need
not name them again: a build that adds a dump, `retry`. It belongs to this machine, not to the dataset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.readers.dumps import DumpFile
from pipeline.readers.find import find_dumps
from pipeline.readers.formats import CMKP
from pipeline.storage import is_remote
from schemas.errors import UsageError
from schemas.files import publish_json, read_json, told_of
from schemas.manifest import Manifest

REMEMBERED = ".build.json"


@dataclass(frozen=True)
class Sources:
    """dumps: every file that is read. images: folders pictures are looked for in, in this order. crawl: by URL.

    inputs: what the manifest says of each dump; every one is hashed once a run, for they may be hundreds of gigabytes.
    """

    dumps: tuple[DumpFile, ...] = ()
    images: tuple[Path, ...] = ()
    crawl: bool = False
    inputs: tuple[dict[str, str], ...] = ()

    @cached_property
    def bytes(self) -> int:
        """Of all dumps, as they lie there; a remote one's filesystem is asked once."""
        return sum(dump.size() for dump in self.dumps)

    @property
    def released(self) -> tuple[DumpFile, ...]:
        """The dumps of a released dataset, which brings splits and features."""
        return tuple(dump for dump in self.dumps if dump.format == CMKP)

    def remember(self, dataset: Path) -> None:
        """Note the paths for later commands."""
        dumps = [{"name": dump.name, "path": dump.path, "format": dump.format} for dump in self.dumps]
        images = [str(folder) for folder in self.images]
        publish_json(dataset / REMEMBERED, {"dumps": dumps, "images": images, "crawl": self.crawl})


def is_released(known: Manifest) -> bool:
    """Whether a dataset was imported with splits and features of its own, and has no pictures."""
    return any(entry["format"] == CMKP for entry in known.inputs)


def given_sources(patterns: Sequence[str], forced: str, stdin_copy: Path, images: Path | None, crawl: bool) -> Sources:
    """What the command line names, with paths that hold in any folder. UsageError where it leads to nothing."""
    if images is not None and not images.is_dir():
        raise UsageError(f"--images {images}: no such folder.")
    if images is not None and crawl:
        raise UsageError("--images, --crawl: give one of them; pictures come from a folder or from their URLs.")
    found = find_dumps(patterns, forced, stdin_copy) if patterns else []
    dumps = tuple(dump.absolute() for dump in found)
    return Sources(dumps, (images.absolute(),) if images else (), crawl, tuple(dump.identity() for dump in dumps))


def remembered_sources(dataset: Path) -> Sources:
    """What the last build of this dataset on this machine read; nothing where nobody knows."""
    if not (dataset / REMEMBERED).is_file():
        return Sources()
    with told_of(dataset / REMEMBERED) as path:
        noted = read_json(path)
        images = tuple(Path(folder) for folder in noted["images"])
        return Sources(tuple(DumpFile(**dump) for dump in noted["dumps"]), images, noted["crawl"])


def joined_sources(dataset: Path, known: Manifest, given: Sources, replacing: bool = False) -> Sources:
    """The given sources and all that the dataset was built from before, so that nothing it holds is lost.

    replacing: a given dump may take the place of the one of its name. UsageError where an earlier dump is gone, was
    changed, or has the name of another one.
    """
    earlier = remembered_sources(dataset)
    by_name = {dump.name: dump for dump in earlier.dumps}
    mine = {dump.name: (dump, entry) for dump, entry in zip(given.dumps, given.inputs, strict=True)}
    for entry in known.inputs:
        name = entry["name"]
        if name not in mine:
            mine[name] = (_still_there(dataset, entry, by_name.get(name)), entry)
        elif mine[name][1] != entry and not replacing:
            raise UsageError(
                f"--dumps {name}: {dataset} was built from another file of that name. Rename the new one, or use retry."
            )
    folders = tuple(dict.fromkeys((*given.images, *(folder for folder in earlier.images if folder.is_dir()))))
    ordered = [mine[name] for name in sorted(mine)]
    dumps, inputs = tuple(dump for dump, _ in ordered), tuple(entry for _, entry in ordered)
    return Sources(dumps, folders, given.crawl or earlier.crawl, inputs)


def _still_there(dataset: Path, entry: dict[str, str], dump: DumpFile | None) -> DumpFile:
    name = entry["name"]
    if dump is None or not (is_remote(dump.path) or Path(dump.path).exists()):
        where = f"it is not at {dump.path} any more" if dump else "nobody noted where it lies"
        raise UsageError(f"{dataset}: was built from {name} too, and {where}. Name it in --dumps.")
    if dump.identity() != entry:
        raise UsageError(f"{dataset}: was built from {name}, but {dump.path} was changed since. Name the old one.")
    return dump
