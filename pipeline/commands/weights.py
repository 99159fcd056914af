"""The command about weights that the user brought along."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import JsonOption
from schemas.console import DONE, FAILED, say
from schemas.errors import UsageError, unknown_name

ACTIONS = ("list", "add", "check", "remove")


def weights_command(
    action: Annotated[str, typer.Argument(help="list, add, check or remove.")],
    name: Annotated[str, typer.Argument(help="The name to give, or that was given.")] = "",
    file: Annotated[Path | None, typer.Argument(help="What to add; it is copied.")] = None,
    sha256: Annotated[str, typer.Option("--sha256", help="What the file's must be.")] = "",
    feature: Annotated[
        str, typer.Option("--feature", help="What it must be for; told from the file if left out.")
    ] = "",
    as_json: JsonOption = False,
) -> int:
    """Weights that you brought along: named once, used as features.FEATURE.weights=NAME. See docs/weights.md.

    \b
    python -m pipeline weights add butd36 ~/Downloads/bua-caffe-frcn-r101-k36.pth
    python -m pipeline weights list
    python -m pipeline weights check
    """
    if action not in ACTIONS:
        raise unknown_name("action of weights", action, ACTIONS)
    needed = {"add": bool(name and file), "remove": bool(name and not file)}.get(action, not name and not file)
    if not needed:
        raise UsageError("weights: expected `list`, `add NAME FILE`, `check` or `remove NAME`.")
    if action == "add" and file:
        return _add(name, file, sha256.lower(), feature, as_json)
    if action == "remove":
        from pipeline.extractors.weight_store import remove

        gone = remove(name)
        say({"removed": gone.name, "file": str(gone.path)}, as_json, f"{gone.name}: {gone.path} is gone")
        return DONE
    return _check(as_json) if action == "check" else _list(as_json)


def _add(name: str, file: Path, sha256: str, feature: str, as_json: bool) -> int:
    from pipeline.extractors.weight_kinds import recognise
    from pipeline.extractors.weight_store import add, check_name
    from schemas.files import sha256_file

    check_name(name)
    if not file.is_file():
        raise UsageError(f"weights add {name}: {file}: there is no such file.")
    found = sha256_file(file)
    if sha256 and found != sha256:
        raise UsageError(f"weights add {name}: {file}: expected sha256 {sha256}, found {found}. Get the file again.")
    kind = recognise(file, feature)
    added = add(name, file, found, kind.feature, kind.layout)
    text = f"{name}: for {kind.feature}, layout {kind.layout}, sha256 {found}\nuse it: {_use(name, kind.feature)}"
    say({"name": name, "path": str(added.path), "sha256": found, **kind._asdict()}, as_json, text)
    return DONE


def _use(name: str, feature: str) -> str:
    return f"--features {feature} --set features.{feature}.weights={name}"


def _list(as_json: bool) -> int:
    from pipeline.extractors.weight_store import all_added, folder

    rows = [
        {
            "name": w.name,
            "feature": w.feature,
            "layout": w.layout,
            "bytes": w.bytes,
            "sha256": w.sha256,
            "path": str(w.path),
        }
        for w in all_added().values()
    ]
    lines = [f"{w['name']}  {w['feature']}  {w['layout']}  {w['bytes']:,} bytes  sha256 {w['sha256']}" for w in rows]
    say({"folder": str(folder()), "weights": rows}, as_json, _table(lines, f"{folder()}: no weights were added"))
    return DONE


def _check(as_json: bool) -> int:
    from pipeline.extractors.weight_store import all_added, faults, folder

    found = {name: faults(added) for name, added in all_added().items()}
    broken = {name: fault for name, fault in found.items() if fault}
    lines = [f"{name}: {fault or 'ok'}" for name, fault in found.items()]
    say(
        {"ok": not broken, "checked": len(found), "broken": broken},
        as_json,
        _table(lines, f"{folder()}: nothing to check"),
    )
    return FAILED if broken else DONE


def _table(lines: Sequence[str], none: str) -> str:
    return "\n".join(lines) or none
