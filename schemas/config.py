"""Configuration: one frozen pydantic model a program, a YAML file, and `--set a.b=c` over it."""

import copy
import difflib
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, get_origin

import pydantic
import yaml

from m3h.schemas.errors import UsageError


class Settings(pydantic.BaseModel):
    """Base of every configuration: frozen, and unknown fields are errors."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=Settings)

_MAX_CHARACTERS = 1 << 20
"""Largest size of a YAML file."""

_YAML_ERRORS = (yaml.YAMLError, ValueError, RecursionError)
"""ValueError: not UTF-8, or a date such as 2021-02-30. RecursionError: brackets nested too deeply."""


def resolve(
    model: type[S],
    file: Path | Mapping[str, Any] | None = None,
    sets: Sequence[str] = (),
    **fields: object,
) -> S:
    """The configuration of a program, put together from several sources. Later sources override earlier ones.

    The order is: the defaults, `file`, `sets`, `fields`.

    Args:
        model: The class of the configuration.
        file: A YAML file, or the values of an earlier run. None for the defaults alone.
        sets: Assignments such as "a.b=c". The value is read as YAML.
        **fields: Top-level fields by name. None leaves a field as it is.

    Raises:
        UsageError: A field is unknown or has a wrong value. The message names it, what was found, and the nearest
            known field.
    """
    values = read_yaml(file) if isinstance(file, Path) else copy.deepcopy(dict(file or {}))
    for assignment in sets:
        _assign(values, assignment)
    values.update({name: value for name, value in fields.items() if value is not None})
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        raise UsageError(_explain(model, error, _origin(file, sets))) from error


def _origin(file: Path | Mapping[str, Any] | None, sets: Sequence[str]) -> str:
    if isinstance(file, Path):
        return str(file)
    return "--set" if sets or not file else "the configuration in the manifest"


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of both. Where both have a field, `over` decides, on every level."""
    out = copy.deepcopy(dict(under))
    for name, value in over.items():
        replaced = out.get(name)
        if isinstance(replaced, Mapping) and isinstance(value, Mapping):
            value = merged(replaced, value)
        out[name] = value
    return out


def read_yaml(file: Path) -> dict[str, Any]:
    """A YAML file of fields and values, read without running any code from it.

    Raises:
        UsageError: The file cannot be read, is not YAML, or does not hold fields and values.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            values = _plain_yaml(stream.read(_MAX_CHARACTERS))
    except OSError as error:
        raise UsageError(f"config {file}: {error.strerror}.") from error
    except _YAML_ERRORS as error:
        raise UsageError(f"config {file}: not readable as YAML: {' '.join(str(error).split())}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"config {file}: expected fields and values, got {type(values).__name__}.")
    return values


class _PlainLoader(yaml.SafeLoader):
    """A loader that refuses aliases: ten lines of them may expand to more values than fit in memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = cast("Any", self).peek_event()  # its stub has no types
            raise yaml.YAMLError(f"an alias, *{event.anchor}: write out what it stands for")
        return super().compose_node(parent, index)


def _plain_yaml(text: str) -> Any:
    if len(text) >= _MAX_CHARACTERS:
        raise ValueError(f"longer than {_MAX_CHARACTERS} characters")
    return yaml.load(text, _PlainLoader)  # noqa: S506  a SafeLoader


def _assign(values: dict[str, Any], assignment: str) -> None:
    path, equals, text = assignment.partition("=")
    if not equals or not path:
        raise UsageError(f"--set {assignment}: expected FIELD=VALUE, such as clean.min_tokens=4.")
    *parents, last = path.strip().split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise UsageError(f"--set {assignment}: '{parent}' has no fields.")
    try:
        values[last] = _plain_yaml(text)
    except _YAML_ERRORS as error:
        raise UsageError(f"--set {assignment}: the value is not readable as YAML.") from error


def _explain(model: type[Settings], error: pydantic.ValidationError, origin: str) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = list(field_names(model))
        close = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
        hint = f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(known)}."
        return f"{origin}: no field '{path}'.{hint}"
    return f"{origin}: {path}: {first['msg'].lower()}, got {reprlib.repr(first['input'])}."


def field_names(model: type[Settings], prefix: str = "") -> list[str]:
    """The dotted path of every field that has no fields of its own."""
    names = []
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and not get_origin(kind) and issubclass(kind, Settings):  # list[str] is one on 3.10
            names += field_names(kind, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def as_plain(settings: Settings) -> Mapping[str, Any]:
    """The settings as JSON values, for the manifest or the run folder."""
    return settings.model_dump(mode="json")
