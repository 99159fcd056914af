"""The command for weights that the user brings along."""

from pathlib import Path
from typing import Annotated

import typer

from m3h.pipeline.commands.options import JsonOption
from m3h.schemas.console import DONE, FAILED, say
from m3h.schemas.errors import UsageError, unknown_name
from m3h.schemas.tables import format_table

ACTIONS = ("list", "add", "check", "remove")

ADD_STEPS = 3
"""What `add` does with a file: hash it, recognise it, copy it."""


def weights_command(
    action: Annotated[str, typer.Argument(help="list, add, check or remove.")],
    name: Annotated[str, typer.Argument(help="A name for the weights.")] = "",
    file: Annotated[Path | None, typer.Argument(help="The file to add; it is copied.")] = None,
    sha256: Annotated[str, typer.Option("--sha256", help="The sha256 that the file must have.")] = "",
    feature: Annotated[
        str, typer.Option("--feature", help="The feature it must be for; detected from the file if left out.")
    ] = "",
    as_json: JsonOption = False,
) -> int:
    """Weights that you bring along: name them once, then use features.FEATURE.weights=NAME. See docs/weights.md.

    \b
    m3h weights add butd36 ~/Downloads/bua-caffe-frcn-r101-k36.pth
    m3h weights list
    m3h weights check
    """
    if action not in ACTIONS:
        raise unknown_name("action of weights", action, ACTIONS)
    needed = {"add": bool(name and file), "remove": bool(name and not file)}.get(action, not name and not file)
    if not needed:
        raise UsageError("weights: expected `list`, `add NAME FILE`, `check` or `remove NAME`.")
    if action == "add" and file:
        return _add(name, file, sha256.lower(), feature=feature, as_json=as_json)
    if action == "remove":
        from m3h.pipeline.extractors.weight_store import remove

        removed = remove(name)
        say({"removed": removed.name, "file": str(removed.path)}, as_json, f"{removed.name}: {removed.path} is removed")
        return DONE
    return _check(as_json) if action == "check" else _list(as_json)


def _add(name: str, file: Path, sha256: str, *, feature: str, as_json: bool) -> int:
    from m3h.pipeline.extractors.weight_kinds import recognise
    from m3h.pipeline.extractors.weight_store import add, check_name
    from m3h.pipeline.progress.monitor import watched
    from m3h.schemas.files import sha256_file

    check_name(name)
    if not file.is_file():
        raise UsageError(f"weights add {name}: {file}: there is no such file.")
    steps = 0
    with watched(f"weights {name}", ADD_STEPS, lambda: steps, alike=False):
        found = sha256_file(file)
        if sha256 and found != sha256:
            raise UsageError(
                f"weights add {name}: {file}: expected sha256 {sha256}, found {found}. Get the file again."
            )
        steps = 1
        kind = recognise(file, feature)
        steps = 2
        added = add(name, file, found, feature=kind.feature, layout=kind.layout)
        steps = ADD_STEPS
    text = f"{name}: for {kind.feature}, layout {kind.layout}, sha256 {found}\nuse it: {_use(name, kind.feature)}"
    say({"name": name, "path": str(added.path), "sha256": found, **kind._asdict()}, as_json, text)
    return DONE


def _use(name: str, feature: str) -> str:
    return f"--features {feature} --set features.{feature}.weights={name}"


def _list(as_json: bool) -> int:
    from m3h.pipeline.extractors.weight_store import all_added, folder

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
    table = format_table(
        [(w["name"], w["feature"], w["layout"], f"{w['bytes']:,} bytes", f"sha256 {w['sha256']}") for w in rows],
        right={3},
    )
    say({"folder": str(folder()), "weights": rows}, as_json, "\n".join(table) or f"{folder()}: no weights were added")
    return DONE


def _check(as_json: bool) -> int:
    from m3h.pipeline.extractors.weight_store import all_added, faults, folder
    from m3h.pipeline.progress.monitor import tracked

    found = {name: faults(added) for name, added in tracked("weights", all_added().items())}
    broken = {name: fault for name, fault in found.items() if fault}
    text = "\n".join(f"{name}: {fault or 'ok'}" for name, fault in found.items()) or f"{folder()}: nothing to check"
    say({"ok": not broken, "checked": len(found), "broken": broken}, as_json, text)
    return FAILED if broken else DONE
