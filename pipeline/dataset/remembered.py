"""What this user named outside a dataset when it was built: dumps, folders of pictures, files in its configuration.

`.build.json` beside the dataset's files keeps it for later commands. A file of somebody else could name any file of
this machine there, so it is sealed with a key that only this user has here. What another wrote is not used. The same
goes for files that a manifest's configuration names: only a file that this user has named is read.
"""

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from m3h.pipeline.extractors import EXTRACTORS
from m3h.pipeline.extractors.weight_store import find_added
from m3h.schemas.errors import UsageError
from m3h.schemas.features import canonical_json
from m3h.schemas.files import publish_json, read_json, validating
from m3h.schemas.inside import file_in, remove

log = logging.getLogger(__name__)

REMEMBERED = ".build.json"

_KEY_BYTES = 32
_NO_KEY = (OSError, RuntimeError)
"""Where the key cannot be kept or read. RuntimeError: this user has no home."""

Named = set[tuple[str, str]]
"""Fields of a configuration that name files, with the files."""


def remember(dataset: Path, config: Mapping[str, Any], features: Collection[str], **sources: object) -> None:
    """Keep what this user has named, for later commands. What was kept before stays, except `sources`.

    Args:
        dataset: The dataset's folder.
        config: The configuration. All files that it names were named by the user, now or before.
        features: The features whose settings count.
        **sources: JSON values to keep by name. The earlier ones stay where none are given.
    """
    earlier = recall(dataset)
    named = {*_named_before(earlier), *_files_in(config, features)}
    stored = {**earlier, **sources, "files": sorted(map(list, named))}
    try:
        publish_json(file_in(dataset, REMEMBERED), {**stored, "seal": _seal(stored)})
    except _NO_KEY as error:
        log.warning("note: no key can be kept here (%s), so later commands have to be told dumps again.", error)
        remove(dataset, REMEMBERED)


def recall(dataset: Path) -> dict[str, Any]:
    """What `remember` kept. Empty where there is nothing, or where another user or machine wrote it."""
    path = file_in(dataset, REMEMBERED)
    if not path.is_file():
        return {}
    with validating(path):
        stored = dict(read_json(path))
        seal = str(stored.pop("seal", ""))
    with suppress(*_NO_KEY):
        if hmac.compare_digest(seal.encode(), _seal(stored).encode()):
            return stored
    _tell_once(path)
    return {}


@lru_cache(maxsize=64)
def _tell_once(path: Path) -> None:
    log.warning("note: %s: not written by this user on this machine, so the paths in it are not used.", path)


def _seal(stored: Mapping[str, Any]) -> str:
    return hmac.new(_key(), canonical_json(stored).encode(), hashlib.sha256).hexdigest()


def _key() -> bytes:
    """This user's key, made when it is first needed. OSError where it cannot be kept."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    folder = (state if state.is_absolute() else Path("~/.local/state").expanduser()) / "m3h"
    path = folder / "key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = folder / f".{secrets.token_hex(8)}"
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        try:
            os.link(made, path)
        except FileExistsError:  # another command was faster
            made.unlink()
        except OSError:  # a file system without hard links
            made.replace(path)
        else:
            made.unlink()
    return path.read_bytes()


def refuse_unnamed_files(
    dataset: Path,
    known: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    features: Collection[str],
    named: Collection[str] = (),
) -> None:
    """Check that each file that a configuration takes from a manifest is one that this user has named.

    Args:
        dataset: The dataset's folder.
        known: The configuration in its manifest.
        config: The configuration that will be used.
        features: The features that will be used.
        named: Fields that the command line or a configuration file set now, or whole groups of fields.

    Raises:
        UsageError: A file was never named here. The message says how to name it.
    """
    own = _named_before(recall(dataset))
    stated = set(_files_in(known, features))
    for field, file in sorted(set(_files_in(config, features)) & stated - own):
        if not any(field == name or field.startswith(f"{name}.") for name in named):
            raise UsageError(
                f"{dataset}: its manifest names a file outside it, {field}={file}, which you have not named here yet. "
                f"If it is to be read, name it: --set {field}={file}"
            )


def own_crawl_settings(dataset: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's configuration, its `crawl` only where this user has set it: another's would open private hosts."""
    own = recall(dataset).get("crawl_settings") == known.get("crawl")
    return {**known, "crawl": known.get("crawl", {}) if own else {}}


def fields_of(sets: Sequence[str], file: Mapping[str, Any] | None = None) -> list[str]:
    """The dotted names of the fields that assignments and a configuration file set."""
    return [*(assignment.partition("=")[0].strip() for assignment in sets), *(name for name, _ in _leaves(file or {}))]


def _named_before(stored: Mapping[str, Any]) -> Named:
    return {(field, file) for field, file in stored.get("files", ())}


_FILE_FIELDS = ("weights", "head", "config", "words")
"""Settings of our own features that may name a file."""
_WORDS = ("", "random", "default", "butd")
"""Their values that never do."""


def _files_in(config: Mapping[str, Any], features: Collection[str]) -> Iterator[tuple[str, str]]:
    """The fields that name a file or folder, with its path."""
    for field, value in _leaves({"text": config.get("text", {})}):
        if field in ("text.hashtag_map", "text.word_statistics") and value is not None:
            yield field, str(value)
    settings = config.get("features", {})
    for field, value in _leaves({"features": {name: settings.get(name, {}) for name in features}}):
        if isinstance(value, str) and _may_name_a_file(field) and _names_a_file(value):
            yield field, value


def _may_name_a_file(field: str) -> bool:
    """Every setting of an extractor from outside may: what its settings mean is not known here."""
    _, feature, *_rest = field.split(".")
    return field.rpartition(".")[2] in _FILE_FIELDS or feature not in EXTRACTORS


def _names_a_file(value: str) -> bool:
    """Whether it is a path rather than a word, or weights that this user has added."""
    if value in _WORDS:
        return False
    return os.path.lexists(value) or (("/" in value or "." in value) and find_added(value) is None)


def _leaves(tree: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _leaves(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, tree
