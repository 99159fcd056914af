"""Where a dataset's records come from, now and in earlier builds of the same dataset.

The paths of dumps and picture folders are remembered (`pipeline/dataset/remembered.py`). So a later build that adds a
dump, and `retry`, need not name them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.found_pictures import FOUND_PREFIX
from m3h.pipeline.dataset.remembered import REMEMBERED, recall, remember
from m3h.pipeline.images.source_folder import own_folders
from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.readers.files.names import known_name, name_in
from m3h.pipeline.readers.find import find_dumps
from m3h.pipeline.readers.formats import CMKP
from m3h.pipeline.readers.held_pictures import holds_pictures
from m3h.pipeline.runtime.filesystems import is_remote
from m3h.schemas.config import as_plain
from m3h.schemas.errors import UsageError
from m3h.schemas.files import validating
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import Manifest


@dataclass(frozen=True)
class Sources:
    """Where records and pictures come from.

    dumps: every file that is read.
    images: folders in which pictures are looked for, in this order.
    crawl: whether pictures are fetched by their URLs.
    inputs: the manifest's entry of each dump. A dump may have hundreds of gigabytes, so it is hashed once per run.
    """

    dumps: tuple[DumpFile, ...] = ()
    images: tuple[Path, ...] = ()
    crawl: bool = False
    inputs: tuple[dict[str, str], ...] = ()

    @cached_property
    def bytes(self) -> int:
        """Size of all dumps as they are stored, compressed or not. A remote filesystem is asked once."""
        return sum(dump.size() for dump in self.dumps)

    @cached_property
    def hold_pictures(self) -> bool:
        """Whether a dump brings pictures itself, by its beginning."""
        return any(map(holds_pictures, self.dumps))

    @property
    def homes(self) -> dict[str, Path]:
        """The dumps that are folders with pictures, by the source of their records."""
        return {dump.source: Path(dump.path) for dump in self.dumps if dump.is_folder}

    @property
    def released(self) -> tuple[DumpFile, ...]:
        """The dumps that belong to a released dataset, which has splits and features of its own."""
        return tuple(dump for dump in self.dumps if dump.format == CMKP)

    def remember(self, dataset: Path, config: BuildConfig | None = None) -> None:
        """Keep the paths for later commands, and those that the configuration of the build names, if it has one."""
        dumps = [{"name": dump.name, "path": dump.path, "format": dump.format} for dump in self.dumps]
        images = [str(folder) for folder in self.images]
        plain = as_plain(config or BuildConfig())
        more = {"dumps": dumps, "images": images, "crawl": self.crawl, "crawl_settings": plain["crawl"]}
        remember(dataset, plain, plain["features"], **more)


def is_released(known: Manifest) -> bool:
    """Whether a dataset was imported with splits and features of its own, and has no pictures."""
    return any(entry["format"] == CMKP for entry in known.inputs)


def given_sources(
    patterns: Sequence[str],
    forced_format: str,
    stdin_copy: Path,
    *,
    images: Path | None = None,
    crawl: bool = False,
) -> Sources:
    """The sources that the command line names, with absolute paths.

    Args:
        patterns: Paths or patterns of dumps.
        forced_format: Format of all dumps. "" where each record tells.
        stdin_copy: The file to copy standard input to, where it is one of the dumps.
        images: Folder with the pictures. None where none is named: then those of personal archives count.
        crawl: Whether pictures are fetched by their URLs.

    Raises:
        UsageError: There is no such folder or dump, or both `images` and `crawl` are given.
    """
    if images is not None and not images.is_dir():
        raise UsageError(f"--images {images}: no such folder.")
    if images is not None and crawl:
        raise UsageError("--images, --crawl: give one of them; pictures come from a folder or from their URLs.")
    found = find_dumps(patterns, forced_format, stdin_copy) if patterns else []
    dumps = tuple(dump.absolute() for dump in found)
    local = (Path(dump.path) for dump in dumps if not is_remote(dump.path) and not crawl)
    folders = dict.fromkeys([*([images.absolute()] if images else []), *own_folders(local)])
    return Sources(dumps, tuple(folders), crawl, tuple(dump.identity() for dump in dumps))


def fetches_pictures(known: Manifest) -> bool:
    """Whether the pictures of a dataset came by their URLs."""
    return any(name.startswith("images/crawl-") for name in known.files)


def remembered_sources(dataset: Path) -> Sources:
    """The sources of this user's last build of this dataset. Empty where they are not remembered."""
    stored = recall(dataset)
    if "dumps" not in stored:
        return Sources()
    with validating(file_in(dataset, REMEMBERED)):
        images = tuple(Path(folder) for folder in stored["images"])
        return Sources(tuple(DumpFile(**dump) for dump in stored["dumps"]), images, stored["crawl"])


def joined_sources(dataset: Path, known: Manifest, given: Sources, *, replacing: bool = False) -> Sources:
    """The given sources together with all that the dataset was built from before, so that no record is lost.

    Args:
        dataset: The dataset's folder.
        known: Its manifest.
        given: The sources that the command line names.
        replacing: Whether a given dump may replace an earlier dump of the same name.

    Raises:
        UsageError: An earlier dump is missing or was changed, or another given dump has its name; an earlier folder of
            pictures is gone, and no other one is given; or pictures would come from folders and from URLs.
    """
    earlier = remembered_sources(dataset)
    _refuse_other_kind(dataset, known, given, earlier=earlier)
    by_name = {dump.name: dump for dump in earlier.dumps}
    joined = {}
    for dump, entry in zip(given.dumps, given.inputs, strict=True):
        name = _name_of(dump, entry, known, earlier=by_name.get(dump.name), replacing=replacing)
        name = dump.name if name in joined else name  # a copy of a file that is given too
        joined[name] = (replace(dump, name=name), {**entry, "name": name})
    for entry in known.inputs:
        name = entry["name"]
        if name not in joined:
            joined[name] = (_unchanged(dataset, entry, by_name.get(name)), entry)
        elif joined[name][1] != entry and not replacing:
            raise UsageError(
                f"--dumps {name}: {dataset} was built from another file of that name. Rename the new one, or use retry."
            )
    crawl = given.crawl or earlier.crawl
    here = tuple(folder for folder in earlier.images if folder.is_dir())
    if len(here) < len(earlier.images) and not given.images and not crawl:
        gone = next(folder for folder in earlier.images if folder not in here)
        raise UsageError(
            f"{dataset}: was built with the pictures in {gone}, and this folder is gone. Mount it, or name its new "
            "place with --images."
        )
    folders = tuple(dict.fromkeys((*given.images, *here)))
    ordered = [joined[name] for name in sorted(joined)]
    dumps, inputs = tuple(dump for dump, _ in ordered), tuple(entry for _, entry in ordered)
    return Sources(dumps, folders, crawl, inputs)


def _name_of(
    dump: DumpFile, entry: dict[str, str], known: Manifest, *, earlier: DumpFile | None, replacing: bool
) -> str:
    """What a given dump is called in the dataset."""
    if replacing:
        return known_name(dump, [known_entry["name"] for known_entry in known.inputs]) or dump.name
    return name_in(dump, entry, known.inputs, earlier=earlier)


def _refuse_other_kind(dataset: Path, known: Manifest, given: Sources, *, earlier: Sources) -> None:
    """Pictures of all dumps come from folders, or all by their URLs: or those of the old dumps would not be found.

    Those that the dumps hold are found by either.
    """
    from_folder = bool(earlier.images) or not earlier.dumps
    if given.crawl and from_folder and any(name.startswith(FOUND_PREFIX) for name in known.files):
        raise UsageError(f"--crawl: {dataset} has pictures of a folder. Name a folder with --images, or build another.")
    if given.images and fetches_pictures(known):
        raise UsageError(f"--images: {dataset} fetches its pictures by their URLs. Use --crawl, or build another.")


def _unchanged(dataset: Path, entry: dict[str, str], dump: DumpFile | None) -> DumpFile:
    """An earlier dump that is still what the manifest's `entry` says. dump: as remembered; None where it is not."""
    name = entry["name"]
    if dump is None or not (is_remote(dump.path) or Path(dump.path).exists()):
        where = f"it is not at {dump.path} any more" if dump else "its path is not remembered here"
        raise UsageError(f"{dataset}: was built from {name} too, and {where}. Name it in --dumps, as {name}.")
    if dump.identity() != entry:
        raise UsageError(f"{dataset}: was built from {name}, but {dump.path} was changed since. Name the old one.")
    return dump
