"""Dataset folders as a stranger may prepare them, each beside a harmless victim that no command may touch."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from m3h.schemas.files import publish_json, publish_text, read_json, sha256_file
from m3h.schemas.manifest import MANIFEST, MANIFEST_HASH
from m3h.schemas.posts import IMAGE_SCHEMA, POST_SCHEMA

MARKER = "only-the-victim-says-this"
"""In every file of the victim, and in nothing else."""


@dataclass(frozen=True)
class Prepared:
    """A prepared dataset. victim: the folder beside it. places: file names in the dataset by what they are."""

    dataset: Path
    victim: Path
    places: dict[str, str]

    def at(self, place: str) -> Path:
        return self.dataset / self.places.get(place, place)


Prepare = Callable[[Prepared], None]


@dataclass(frozen=True)
class Case:
    """what: as a table shows it. strange: whether every command must refuse it before it begins."""

    what: str
    prepare: Prepare
    strange: bool = True


def clear(path: Path) -> None:
    """Make room at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)


def link(place: str, target: str) -> Prepare:
    """A link in this place to something of the victim, relative as in an archive."""

    def prepare(world: Prepared) -> None:
        path = world.at(place)
        clear(path)
        path.symlink_to(os.path.relpath(world.victim / target, path.parent))

    return prepare


def pipe(place: str) -> Prepare:
    def prepare(world: Prepared) -> None:
        clear(world.at(place))
        os.mkfifo(world.at(place))

    return prepare


def device(place: str) -> Prepare:
    def prepare(world: Prepared) -> None:
        clear(world.at(place))
        world.at(place).symlink_to("/dev/zero")

    return prepare


def folder(place: str) -> Prepare:
    def prepare(world: Prepared) -> None:
        clear(world.at(place))
        (world.at(place) / "within").mkdir(parents=True)

    return prepare


def says(place: str, value: object) -> Prepare:
    """A JSON file in this place. VICTIM in a text stands for the victim's path, UP for the way there from the dataset.

    A file that the manifest vouches for is vouched for anew: whoever makes files makes hashes too.
    """

    def prepare(world: Prepared) -> None:
        clear(world.at(place))
        publish_json(world.at(place), filled(value, world))

    return prepare


def filled(value: Any, world: Prepared) -> Any:
    if isinstance(value, str):
        return value.replace("VICTIM", str(world.victim)).replace("UP", f"../{world.victim.name}")
    if isinstance(value, list):
        return [filled(item, world) for item in value]
    return {filled(k, world): filled(v, world) for k, v in value.items()} if isinstance(value, dict) else value


def manifest_says(value: object, *place: str) -> Prepare:
    """The manifest with another value at a place; None removes it. PRINT stands for the fingerprint of `ocr`."""

    def prepare(world: Prepared) -> None:
        raw = read_json(world.dataset / MANIFEST)
        found, names = raw, [world.places["PRINT"] if name == "PRINT" else filled(name, world) for name in place]
        for name in names[:-1]:
            found = found[name]
        if value is None:
            del found[names[-1]]
        else:
            found[names[-1]] = filled(value, world)
        publish_json(world.dataset / MANIFEST, raw)
        vouch(world)

    return prepare


def vouch(world: Prepared) -> None:
    """Let the manifest agree with the files, and its hash with it."""
    raw = read_json(world.dataset / MANIFEST)
    for name, entry in raw["files"].items() if isinstance(raw.get("files"), dict) else ():
        path = world.dataset / name
        if path.is_file() and not path.is_symlink() and isinstance(entry, dict) and ".." not in name:
            entry |= {"sha256": sha256_file(path), "bytes": path.stat().st_size}
    publish_json(world.dataset / MANIFEST, raw)
    publish_text(world.dataset / MANIFEST_HASH, f"{sha256_file(world.dataset / MANIFEST)}  {MANIFEST}\n")


def pictures_named(name: str) -> Prepare:
    """Posts and the list of pictures that give every picture this name."""

    def prepare(world: Prepared) -> None:
        for place, schema in (("posts", POST_SCHEMA), ("list", IMAGE_SCHEMA)):
            rows = pq.read_table(world.at(place)).to_pylist()
            named = [{**row, "image_sha256": filled(name, world)} for row in rows]
            pq.write_table(pa.Table.from_pylist(named, schema=schema), world.at(place))
        vouch(world)

    return prepare


def rewritten(place: str, value: object) -> Prepare:
    """A listed JSON file with another content, which the manifest vouches for."""

    def prepare(world: Prepared) -> None:
        says(place, value)(world)
        vouch(world)

    return prepare


def receipt(world: Prepared) -> None:
    """A receipt of unfinished work that says a file of the victim is the finished shard."""
    known = read_json(world.dataset / MANIFEST)["features"]["ocr"]["versions"][world.places["PRINT"]]
    told = {
        "file": f"../../../{world.victim.name}/secret.txt", "sha256": sha256_file(world.victim / "secret.txt"),
        "rows": 1, "first": known["slices"][0]["first"], "slice": known["slices"][0]["slice"], "dropped": [],
    }  # fmt: skip
    for version in (world.places["PRINT"], "0" * 16):
        publish_json(world.dataset / ".build" / "receipts" / "ocr" / version / "00000.json", told)
    publish_json(world.dataset / ".build" / "signature.json", {"refresh": {}})


def staged(world: Prepared) -> None:
    """Unfinished work with a file that would be installed, and a list of others that are still to come."""
    publish_text(world.dataset / ".build" / "next" / "a name with blanks", "x")
    publish_json(world.dataset / ".build" / "installing.json", ["../" + world.victim.name + "/secret.txt"])


FOLDERS = ("posts", "images", "features", "dropped", "features/ocr", "images/00", ".build")
INNER = ("next", "next/posts", "receipts", "receipts/ocr", "judged", "readings", "crawl", "progress")
STRAYS = ("stray", "features/stray", "features/ocr/stray", "images/zz", "posts/stray", "dropped/stray")
FILES = ("manifest.json", "manifest.sha256", "posts", "list", "shard", "description", "picture", "hashtags.tsv")
STATE = ("lock", "signature.json", "installing.json", "leaving.json", "records.json", "forget.json", "compact.json")
STATE += ("images.txt", "tallies.json", "unread.json", "rare_hashtags.json", "stdin", "room")
BESIDE = (".build.json", ".build-summary.json", ".build-speeds.json", "card.md", "forgotten.json", ".tmp-1-x")
NEW = ("posts/part-00009-of-00010.parquet", "dropped/x.parquet", "features/ocr/x/shard-00000-of-00001.parquet")
NEW += (
    "images/ab/stray.jpg",
    "features/ocr/x/.tmp-2-y",
    ".build/next/hashtags.tsv",
    ".build/receipts/ocr/x/00000.json",
)

LINKS = [
    *(Case(f"link as folder {name}", link(name, name if name != ".build" else "work")) for name in FOLDERS),
    *(Case(f"link as folder .build/{name}", link(f".build/{name}", "work")) for name in INNER),
    *(Case(f"stray link {name}", link(name, "pictures")) for name in STRAYS),
    *(Case(f"link as file {name}", link(name, "secret.txt")) for name in (*FILES, *BESIDE, *NEW)),
    *(Case(f"link as file .build/{name}", link(f".build/{name}", "secret.txt")) for name in STATE),
    *(Case(f"device as {name}", device(name)) for name in ("manifest.json", "shard", ".build/lock", ".build.json")),
]
PIPES = [
    *(Case(f"pipe as {name}", pipe(name)) for name in (*FILES, *BESIDE, *NEW)),
    *(Case(f"pipe as .build/{name}", pipe(f".build/{name}")) for name in STATE),
]
IN_A_FILES_PLACE = [
    Case(f"folder as {name}", folder(name), strange=False)
    for name in (
        *FILES,
        *BESIDE[:3],
        ".build/lock",
        ".build/signature.json",
        ".build/forget.json",
        ".build/leaving.json",
    )
]
WAYS_OUT = ("UP/secret.txt", "VICTIM/secret.txt", "posts/../UP/secret.txt", "UP", "", 7)

WORKING_FILES = [
    *(Case(f"leaving names {name!r}", says(".build/leaving.json", [name]), strange=False) for name in WAYS_OUT),
    *(Case(f"installing names {name!r}", says(".build/installing.json", [name]), strange=False) for name in WAYS_OUT),
    Case("receipt names a file outside", receipt, strange=False),
    Case("staged files of other names", staged, strange=False),
    *(
        Case(f"{name} says {value!r:.40}", says(f".build/{name}.json", value), strange=False)
        for name in ("forget", "compact")
        for value in (
            [], {}, {"manifest": 5}, {"manifest": {}}, {"manifest": {"files": {"UP/secret.txt": {}}}}, "UP", None,
        )
    ),
    Case("signature says a list", says(".build/signature.json", ["UP"]), strange=False),
    Case("signature of a refresh", says(".build/signature.json", {"refresh": {"ocr": "UP"}}), strange=False),
    Case("leaving says an object", says(".build/leaving.json", {"UP/secret.txt": 1}), strange=False),
    Case("tallies say a list", says(".build/tallies.json", ["UP"]), strange=False),
    Case("rules on hashtags say a list", says(".build/rare_hashtags.json", ["UP"]), strange=False),
]  # fmt: skip
DUMP = {"name": "dump.jsonl", "path": "VICTIM/dump.jsonl", "format": ""}
NAMED = {"dumps": [DUMP], "images": ["VICTIM/pictures"], "crawl": False}
OTHER_PLACES = [
    Case("remembers other dumps", says(".build.json", NAMED), strange=False),
    Case("remembers with a seal", says(".build.json", {**NAMED, "seal": "0" * 64}), strange=False),
    Case("remembers nonsense", says(".build.json", {"dumps": 5, "images": {"a": "UP"}, "seal": 3}), strange=False),
    Case("hashtag map outside", manifest_says("VICTIM/map.tsv", "config", "text", "hashtag_map"), strange=False),
    Case("word statistics outside", manifest_says("VICTIM", "config", "text", "word_statistics"), strange=False),
    Case(
        "weights outside",
        manifest_says({"weights": "VICTIM/secret.txt"}, "config", "features", "vgg_grid"),
        strange=False,
    ),
    Case(
        "weights beside", manifest_says({"weights": "UP/secret.txt"}, "config", "features", "vgg_grid"), strange=False
    ),
    Case(
        "head outside", manifest_says({"head": "VICTIM/secret.txt"}, "config", "features", "attributes"), strange=False
    ),
    Case("private hosts", manifest_says({"allow": ["127.0.0.0/8"]}, "config", "crawl"), strange=False),
]
PICTURES = [
    Case(f"pictures are named {name}", pictures_named(name), strange=False)
    for name in ("UP/secret", "../../UP/pictures/p0", "VICTIM/pictures/p0", "0/" * 32)
]
VERSION = {"rows": 0, "dropped": {}, "shards": [], "slices": [], "parts": {}}
MANIFESTS = [
    Case("manifest lists a file outside", manifest_says({"sha256": "", "bytes": 1}, "files", "UP/secret.txt"), False),
    Case("manifest lists an absolute file", manifest_says({"sha256": "", "bytes": 1}, "files", "/etc/hostname"), False),
    Case("shard outside", manifest_says(["UP/secret.txt"], "features", "ocr", "versions", "PRINT", "shards"), False),
    Case("unknown version without files", manifest_says(VERSION, "features", "ocr", "versions", "UP"), False),
    Case("another feature", manifest_says({"current": "a", "versions": {"a": VERSION}}, "features", "UP"), False),
    Case("another extractor", manifest_says({"current": "a", "versions": {"a": VERSION}}, "features", "grid"), False),
    Case("no such current", manifest_says("f" * 16, "features", "ocr", "current"), False),
    Case("no counts", manifest_says({}, "counts"), False),
    Case("other counts", manifest_says({"read": "UP", "dropped": []}, "counts"), False),
    Case("no shards in the configuration", manifest_says(None, "config", "shards"), False),
    Case("a configuration of texts", manifest_says({"features": "UP", "clean": "UP"}, "config"), False),
    Case("no settings", manifest_says({}, "config"), False),
    Case("inputs without names", manifest_says([{"path": "UP"}], "inputs"), False),
    Case("inputs of numbers", manifest_says([{"name": 1, "format": 2, "sha256": 3}], "inputs"), False),
    Case("a description of another kind", rewritten("description", ["UP"]), False),
    Case("a description without arrays", rewritten("description", {"spec": {"columns": 5}, "parts": 5}), False),
    Case("forgotten says a list", says("forgotten.json", ["UP"]), False),
    Case("summaries of another kind", says(".build-summary.json", {"runs": [{"command": "UP"}, 5]}), False),
    Case("speeds of another kind", says(".build-speeds.json", {"ocr": {"UP": [1]}}), False),
    Case("speeds of texts", says(".build-speeds.json", {"ocr": {"UP": {"images": "a", "seconds": "b"}}}), False),
]

CASES: Sequence[Case] = [*LINKS, *PIPES, *IN_A_FILES_PLACE, *WORKING_FILES, *OTHER_PLACES, *PICTURES, *MANIFESTS]
