"""The structure of a checkout in figures: folders, import circles, long or complex functions, parameters, `Any`.

`python -m tests.structure [FOLDER]` prints them for `schemas/`, `pipeline/`, `model/` and `tests/` of any checkout,
also of an older one whose imports have no `m3h.` in front. `tests/test_structure.py` holds the limits.

Complexity is counted by ruff (C901) and circles are found by networkx; the rest is read from the syntax tree.
"""

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import networkx as nx

from tests.commands import ROOT

PACKAGES = ("schemas", "pipeline", "model")


@dataclass(frozen=True)
class Limits:
    """The largest figure of each kind that is allowed; at the limit is allowed."""

    files: int = 22
    """Python files in one folder, its `__init__.py` included."""
    lines: int = 60
    """Lines of a function, from `def` to its last, docstring included."""
    complexity: int = 11
    parameters: int = 7
    positional: int = 3
    """Parameters that may be given by position, without self and cls."""
    undocumented: int = 2
    """Parameters of a public function whose docstring has no `Args:`."""


LIMITS = Limits()


@dataclass(frozen=True)
class Function:
    """Where a function stands and what its signature and docstring say. Parameters count without self and cls."""

    place: str
    line: int
    name: str
    lines: int
    parameters: int
    positional: int
    public: bool
    has_args: bool

    def __str__(self) -> str:
        return f"{self.place}:{self.line} {self.name}"


@dataclass(frozen=True)
class Checkout:
    """The Python files of a checkout, each read once."""

    root: Path
    packages: tuple[str, ...] = (*PACKAGES, "tests")

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """Syntax trees by module: `pipeline.crawl.client`, and `pipeline.crawl` for its `__init__.py`."""
        files = sorted(path for package in self.packages for path in (self.root / package).rglob("*.py"))
        return {self.module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in files}

    def module_of(self, path: Path) -> str:
        """The name of a file's module, without `m3h.`."""
        names = path.relative_to(self.root).with_suffix("").parts
        return ".".join(names[:-1] if names[-1] == "__init__" else names)

    def files_per_folder(self) -> dict[str, list[str]]:
        """Names of Python files by folder, the largest folder first."""
        found: dict[str, list[str]] = {}
        for package in self.packages:
            for path in sorted((self.root / package).rglob("*.py")):
                found.setdefault(str(path.parent.relative_to(self.root)), []).append(path.name)
        return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))

    def lonely_modules(self) -> list[str]:
        """Folders of our packages with one module beside `__init__.py`, and no folder below them."""
        folders = self.files_per_folder()
        return [
            folder
            for folder, names in folders.items()
            if folder.split("/")[0] in PACKAGES
            and len(set(names) - {"__init__.py"}) == 1
            and not any(other.startswith(f"{folder}/") for other in folders)
        ]

    @cached_property
    def imports(self) -> nx.DiGraph:
        """An edge from each module to each module of ours that it imports anywhere, type-only imports included."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.trees)
        for module in self.trees:
            graph.add_edges_from((module, other) for other in self.imported_by(module) if other in self.trees)
        return graph

    def imported_by(self, module: str) -> set[str]:
        """Modules that a module names in its imports, without `m3h.`; others' packages too."""
        found: set[str] = set()
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Import):
                found |= {alias.name.removeprefix("m3h.") for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= self._from(node, module)
        return found

    def _from(self, node: ast.ImportFrom, module: str) -> set[str]:
        """`from a import b` names the module `a.b` where there is one, and `a` otherwise."""
        base = (node.module or "").removeprefix("m3h.") if not node.level else _relative(node, module)
        names = {f"{base}.{alias.name}".removeprefix("m3h.") for alias in node.names}
        return {name if name in self.trees else base for name in names}

    def circles(self) -> list[list[str]]:
        """Groups of modules that import one another, directly or by way of others."""
        return sorted(sorted(group) for group in nx.strongly_connected_components(self.imports) if len(group) > 1)

    def importers_of(self, package: str) -> list[str]:
        """Modules that import a package of others, outside the tests."""
        return [
            module
            for module in self.trees
            if not module.startswith("tests") and any(i.split(".")[0] == package for i in self.imported_by(module))
        ]

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method, nested ones too."""
        return [function for module, tree in self.trees.items() for function in _functions(tree, module)]

    def too_complex(self) -> list[str]:
        """Functions whose cyclomatic complexity is over the limit, as ruff says it."""
        words = ("check", "--isolated", "--no-cache", "--ignore-noqa", "--exit-zero", "--output-format", "json")
        limit = ("--select", "C901", "--config", f"lint.mccabe.max-complexity={LIMITS.complexity}")
        ruff = Path(sys.executable).parent / "ruff"
        done = subprocess.run([ruff, *words, *limit, *self.packages], cwd=self.root, capture_output=True, check=True)
        return [
            f"{Path(found['filename']).relative_to(self.root.resolve())}:{found['location']['row']} {found['message']}"
            for found in json.loads(done.stdout)
        ]

    def uses_of_any(self) -> dict[str, int]:
        """How often each module says `Any`, its import not counted."""
        found = Counter[str]()
        for module, tree in self.trees.items():
            found[module] = sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree))
        return {module: number for module, number in found.most_common() if number}


def _relative(node: ast.ImportFrom, module: str) -> str:
    base = module.split(".")[: -node.level]
    return ".".join([*base, *([node.module] if node.module else [])])


def _functions(tree: ast.AST, module: str, inside: str = "") -> Iterator[Function]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            method = isinstance(tree, ast.ClassDef) and not any(
                _is_name(d, "staticmethod") for d in node.decorator_list
            )
            yield _function(node, module, inside, method)
            yield from _functions(node, module, f"{inside}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, module, f"{inside}{node.name}.")
        else:
            yield from _functions(node, module, inside)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, module: str, inside: str, method: bool) -> Function:
    positional = len(node.args.posonlyargs) + len(node.args.args) - method
    name = f"{inside}{node.name}"
    return Function(
        place=module,
        line=node.lineno,
        name=name,
        lines=(node.end_lineno or node.lineno) - node.lineno + 1,
        parameters=positional + len(node.args.kwonlyargs),
        positional=positional,
        public=not any(part.startswith("_") for part in name.split(".")),
        has_args="Args:" in (ast.get_docstring(node) or ""),
    )


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def report(checkout: Checkout) -> Iterator[str]:
    """The figures as lines of text."""
    yield "Python files per folder:"
    for folder, names in checkout.files_per_folder().items():
        yield f"  {len(names):3} {folder}{f'  (over {LIMITS.files})' if len(names) > LIMITS.files else ''}"
    functions = checkout.functions
    ours = [function for function in functions if not function.place.startswith("tests")]
    circles = [" -> ".join(circle) for circle in checkout.circles()]
    yield from _listed("package folders with a single module", checkout.lonely_modules())
    yield from _listed("import circles", circles)
    yield from _listed("modules that import apache_beam", checkout.importers_of("apache_beam"))
    long = sorted((f for f in functions if f.lines > LIMITS.lines), key=lambda f: -f.lines)
    yield from _listed(f"functions over {LIMITS.lines} lines", [f"{f.lines} {f}" for f in long])
    yield from _listed(f"functions of complexity over {LIMITS.complexity}", checkout.too_complex())
    many = sorted((f for f in functions if f.parameters > LIMITS.parameters), key=lambda f: -f.parameters)
    yield from _listed(f"functions of more than {LIMITS.parameters} parameters", [f"{f.parameters} {f}" for f in many])
    by_place = [f"{f.positional} {f}" for f in ours if f.positional > LIMITS.positional]
    yield from _listed(f"functions of more than {LIMITS.positional} positional parameters, without tests", by_place)
    bare = [str(f) for f in ours if f.public and f.parameters > LIMITS.undocumented and not f.has_args]
    yield from _listed(f"public functions of more than {LIMITS.undocumented} parameters without Args", bare)
    anys = checkout.uses_of_any()
    yield from _listed(f"modules that use Any, {sum(anys.values())} times", [f"{n:3} {m}" for m, n in anys.items()])


def _listed(title: str, found: list[str]) -> Iterator[str]:
    yield f"{title}: {len(found)}"
    yield from (f"  {line}" for line in found)


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in report(Checkout(Path(sys.argv[1]) if sys.argv[1:] else ROOT)))
