"""Every reason that the code can emit is in the glossary, and every one in the glossary can be emitted."""

import ast
import re
from collections.abc import Iterator

import pytest

from m3h.pipeline.config import BuildConfig
from m3h.pipeline.crawl.faults import REASONS as CRAWL_REASONS
from m3h.pipeline.records.reasons import REASONS, explained
from m3h.schemas.config import field_names
from tests.commands import ROOT
from tests.conftest import Built

SOURCES = [path for package in ("schemas", "pipeline") for path in sorted((ROOT / package).rglob("*.py"))]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
NAMED = "reason"


def places() -> dict[str, int]:
    """Name of every function and class that takes a `reason` -> at which place, `self` not counted."""
    found: dict[str, int] = {}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [argument.arg for argument in node.args.args if argument.arg not in ("self", "cls")]
                if NAMED in names and node.name != "__init__":
                    found[node.name] = names.index(NAMED)
            elif isinstance(node, ast.ClassDef):
                fields = [
                    item.target.id for item in node.body if isinstance(item, ast.AnnAssign) and _named(item.target)
                ]
                inits = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
                names = [argument.arg for argument in inits[0].args.args[1:]] if inits else fields
                if NAMED in names:
                    found[node.name] = names.index(NAMED)
    return found


def _named(target: ast.expr) -> bool:
    return isinstance(target, ast.Name)


def constants() -> dict[str, str]:
    """NAME -> its text, for every module's constants."""
    found = {}
    for tree in TREES.values():
        for node in tree.body:
            if isinstance(node, ast.Assign):
                target, value = node.targets[0], node.value
                several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
                pairs = zip(target.elts, value.elts, strict=True) if several else [(target, value)]
                found |= {name.id: text.value for name, text in pairs if _is_constant(name, text)}
    return found


def _is_constant(name: ast.expr, value: ast.expr) -> bool:
    return isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str)


def given() -> Iterator[tuple[str, ast.expr]]:
    """(where, expression) of everything that is handed over as a reason, or returned by a function `…_reason`."""
    where = places()
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                place = where.get(name, len(node.args))
                starred = any(isinstance(argument, ast.Starred) for argument in node.args[: place + 1])
                if place < len(node.args) and not starred:
                    yield f"{path.name}:{node.lineno}", node.args[place]
                yield from (
                    (f"{path.name}:{node.lineno}", k.value) for k in node.keywords if k.arg == NAMED and name in where
                )
            elif isinstance(node, ast.Dict):
                keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
                yield from (
                    (f"{path.name}:{node.lineno}", v) for k, v in zip(keys, node.values, strict=True) if k == NAMED
                )
            elif isinstance(node, ast.FunctionDef) and node.name.endswith("_reason"):
                for item in ast.walk(node):
                    if isinstance(item, ast.Return) and isinstance(item.value, ast.Tuple):
                        yield f"{path.name}:{item.lineno}", item.value.elts[0]


def emitted() -> set[str]:
    known = constants()
    found = set()
    for where, value in given():
        if isinstance(value, ast.Constant):
            found.add(value.value)
        elif isinstance(value, ast.Name) and value.id in known:
            found.add(known[value.id])
        elif isinstance(value, ast.IfExp):
            branches = (value.body, value.orelse)
            assert all(isinstance(branch, ast.Constant) for branch in branches), f"{where}: which reasons are these?"
            found |= {branch.value for branch in branches if isinstance(branch, ast.Constant)}
        else:  # handed on: a parameter or a field that was a reason before
            handed_on = isinstance(value, ast.Attribute | ast.Subscript)
            handed_on |= isinstance(value, ast.Name) and value.id.islower()
            assert handed_on, f"{where}: a reason must be a word that can be read here"
    return {str(reason) for reason in found if reason}


def test_the_glossary_has_every_reason_of_the_code_and_no_other() -> None:
    found = emitted()
    assert {"not_json", "no_image", "too_few_tokens", "duplicate_text", "extractor_error", "forgotten"} <= found
    assert found - set(REASONS) == set(), "explain these in pipeline/records/reasons.py"
    assert set(REASONS) - found - set(CRAWL_REASONS) == set(), "nothing emits these any more"


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_a_reason_is_explained_in_sentences_and_by_rules_that_exist(reason: str) -> None:
    explained = REASONS[reason]
    assert not explained.means[0].islower()
    assert explained.means.endswith(".")
    named = re.findall(
        r"\b(?:read|clean|image|features|crawl)\.[a-z_.]*[a-z_]", f"{explained.means} {explained.advice}"
    )
    assert set(named) <= set(field_names(BuildConfig))
    assert set(named) == set(explained.rules)


def test_a_reason_of_another_version_is_not_explained_away() -> None:
    assert "does not know" in explained("too_purple").means


def test_the_sample_leaves_by_explained_reasons(sample: Built) -> None:
    assert set(sample.summary["dropped"]) <= set(REASONS)
