"""Configuration: one frozen pydantic model a program, a YAML file, and `--set a.b=c` over it."""

import copy
import difflib
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from schemas.errors import UsageError


class Settings(pydantic.BaseModel):
    """Base of every configuration: frozen, and unknown fields are errors."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=Settings)

_LONGEST = 1 << 20
"""Characters of a YAML file."""

_BROKEN = (yaml.YAMLError, ValueError, RecursionError)
"""ValueError: not UTF-8, or a date such as 2021-02-30. RecursionError: brackets within brackets."""


def resolve(
    model: type[S],
    file: Path | Mapping[str, Any] | None = None,
    sets: Sequence[str] = (),
    **fields: Any,
) -> S:
    """Defaults, overridden by `file`, overridden by `sets` ("a.b=c", c as YAML), overridden by `fields` not None.

    file: YAML, or the values of an earlier run.

    Raises UsageError that names the field, what was found, and the nearest known field.
    """
    values = read_yaml(file) if isinstance(file, Path) else copy.deepcopy(dict(file or {}))
    for assignment in sets:
        _assign(values, assignment)
    values.update({name: value for name, value in fields.items() if value is not None})
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        raise UsageError(_explain(model, error, str(file) if isinstance(file, Path) else "--set")) from error


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of both, those of `over` first, field by field on every level."""
    out = copy.deepcopy(dict(under))
    for name, value in over.items():
        below = out.get(name)
        out[name] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return out


def read_yaml(file: Path) -> dict[str, Any]:
    """A YAML file of fields and values, read without running anything. UsageError where it is not that."""
    try:
        with open(file, encoding="utf-8") as opened:
            values = _plain_yaml(opened.read(_LONGEST))
    except OSError as error:
        raise UsageError(f"config {file}: {error.strerror}.") from error
    except _BROKEN as error:
        raise UsageError(f"config {file}: not readable as YAML: {' '.join(str(error).split())}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"config {file}: expected fields and values, got {type(values).__name__}.")
    return values


class _PlainLoader(yaml.SafeLoader):
    """Without aliases: ten lines of them may stand for more values than there is memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias, *{self.peek_event().anchor}: write out what it stands for")
        return super().compose_node(parent, index)


def _plain_yaml(text: str) -> Any:
    if len(text) >= _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
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
    except _BROKEN as error:
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
    """Every field with its dotted path, leaves only."""
    names = []
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Settings):
            names += field_names(kind, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def as_plain(settings: Settings) -> Mapping[str, Any]:
    """JSON-ready values, for the manifest or the run folder."""
    return settings.model_dump(mode="json")
