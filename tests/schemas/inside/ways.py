"""What the source does with files, read from its syntax: joins paths, lists or changes folders, opens files."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHANGES = {
    "chmod", "copy2", "copyfile", "copytree", "glob", "hardlink_to", "iterdir", "link", "listdir", "lstat", "makedirs",
    "mkdir", "move", "rename", "renames", "rglob", "rmdir", "rmtree", "scandir", "symlink", "symlink_to", "touch",
    "truncate", "unlink",
}  # fmt: skip
"""Calls that list, make, move or remove files, by their last name."""
OPENS = {
    "File", "ParquetFile", "ParquetWriter", "fdopen", "open", "read_bytes", "read_metadata", "read_schema", "read_text",
    "write_bytes", "write_text", "memory_map", "fromfile",
}  # fmt: skip
OF_MODULE = {
    "os": {"remove", "replace", "walk"},
    "shutil": {"copy"},
    "np": {"load"},
    "pq": {"read_table", "write_table"},
}
"""Calls that count only behind the name of a module."""
FOLDERS = {
    "crawl", "data", "dataset", "earlier", "folder", "ledgers", "like", "next", "out", "receipts", "records", "scratch",
    "store", "text_cache", "verdicts",
}  # fmt: skip
"""Names that stand for a dataset or a folder inside one, where something is joined to them."""


@dataclass(frozen=True)
class Way:
    """One use of files. place: `pipeline/images/store.py: keep`. kind: join, change or open."""

    place: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.place} ({self.kind}, line {self.line}): {self.text}"


def ways_in(name: str, source: str) -> Iterator[Way]:
    """Every use of files in a module. name: of its file."""
    yield from _below(ast.parse(source), name, "")


def ways_below(root: Path, packages: tuple[str, ...]) -> Iterator[Way]:
    """Every use of files in some packages of a checkout."""
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            yield from ways_in(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))


def _below(node: ast.AST, name: str, function: str) -> Iterator[Way]:
    for child in ast.iter_child_nodes(node):
        inner = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{function}.{child.name}".strip(".")
        if kind := _kind(child):
            yield Way(f"{name}: {inner}", getattr(child, "lineno", 0), kind, ast.unparse(child)[:100])
        yield from _below(child, name, inner)


def _kind(node: ast.AST) -> str:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_join(node):
        return "join"
    if not isinstance(node, ast.Call):
        return ""
    last, module = _last(node.func), _last(getattr(node.func, "value", None))
    if last in ("joinpath", "with_name"):
        return "join"
    if last in CHANGES or last in OF_MODULE.get(module, ()) or (last == "replace" and _moves(node)):
        return "change"
    return "open" if last in OPENS else ""


def _moves(call: ast.Call) -> bool:
    """`path.replace(target)` has one argument; a text's has two, a dataclass's has names."""
    return isinstance(call.func, ast.Attribute) and len(call.args) == 1 and not call.keywords


def _is_join(node: ast.BinOp) -> bool:
    right = isinstance(node.right, ast.JoinedStr) or (
        isinstance(node.right, ast.Constant) and isinstance(node.right.value, str)
    )
    return right or _last(node.left) in FOLDERS


def _last(node: ast.AST | None) -> str:
    """`c` of `a.b.c`; the name itself of a name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
