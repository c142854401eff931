"""The import rules of docs/architecture.md, read from the source without importing it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "hamexplorer"

# docs/architecture.md, "may import".
LEAVES = {
    "cores",
    "errors",
    "units",
    "progress",
    "provenance",
    "assets_path",
    "files",
    "ordered_work",
    "typed_yaml",
}
CORE = LEAVES | {"structures", "hamiltonian"}
BELOW_PAGE = CORE | {
    *("dft", "formats", "model", "sources", "datasets", "training"),
    *("properties", "plots", "views"),
}
ALLOWED = {
    **dict.fromkeys(sorted(LEAVES), LEAVES),
    "structures": LEAVES,
    "hamiltonian": LEAVES,
    "dft": CORE,
    "formats": CORE,
    "model": CORE | {"formats"},
    "properties": CORE,
    "sources": CORE | {"dft", "formats", "model"},
    "datasets": CORE | {"dft", "formats", "sources"},
    "training": CORE | {"model", "datasets"},
    "plots": CORE | {"properties"},
    "views": CORE | {"properties", "plots"},
    "cli": BELOW_PAGE,
    "api": BELOW_PAGE | {"cli"},
    "app": BELOW_PAGE | {"cli"},
}
# Allowed besides, but only inside functions or for type checkers.
ALLOWED_LAZILY = {("cli", "app"), ("api", "app")}
# hamexplorer/__init__.py and __main__.py: the public face over everything, for users and for
# these two; a package below that imports it would close a circle.
ROOT = "hamexplorer"
MAY_IMPORT_ROOT = {"cli", "app"}


@dataclass(frozen=True)
class Import:
    """One import: the dotted target, its line, and how it is reached."""

    target: str
    line: int
    lazy: bool
    typing_only: bool = False


def imports(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every import of a module, wherever it stands; relative ones made absolute."""

    def targets(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")
            parents = parents[: len(parents) - node.level + is_package] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else None
            name = function.id if isinstance(function, ast.Name) else name
            first = node.args[0] if node.args else None
            if name in {"import_module", "__import__"} and isinstance(first, ast.Constant):
                yield str(first.value)

    def visit(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[Import]:
        for target in targets(node):
            yield Import(target, getattr(node, "lineno", 0), lazy, typing_only)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded: list[ast.stmt] = []
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            guarded = node.body
        for child in ast.iter_child_nodes(node):
            yield from visit(child, lazy or inside, typing_only or child in guarded)

    yield from visit(ast.parse(source), lazy=False, typing_only=False)


def modules() -> dict[str, Path]:
    """Dotted names of all modules of hamexplorer and their files."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def unit(dotted: str) -> str | None:
    """The top-level package a dotted name belongs to; ROOT for hamexplorer's own attributes."""
    first, _, rest = dotted.partition(".")
    if first != ROOT:
        return None
    name = rest.partition(".")[0]
    is_unit = (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()
    return name if name and name != "__main__" and is_unit else ROOT


MODULES = modules()
IMPORTS = [
    (name, found)
    for name, path in MODULES.items()
    for found in imports(
        path.read_text(encoding="utf-8"), name, is_package=path.name == "__init__.py"
    )
]
INTERNAL = [
    (origin, target, name, found)
    for name, found in IMPORTS
    if (target := unit(found.target)) is not None and (origin := unit(name)) not in {target, None}
]


def where(name: str, found: Import) -> str:
    """``file:line imports target``, for messages."""
    path = MODULES[name].relative_to(REPOSITORY)
    return f"{path}:{found.line} imports {found.target}"


@pytest.mark.parametrize(
    ("source", "target", "lazy"),
    [
        ("import a.b", "a.b", False),
        ("from a import b", "a.b", False),
        ("from ..errors import X", "hamexplorer.errors.X", False),
        ("from . import y", "hamexplorer.dft.y", False),
        ("class C:\n    import a", "a", False),
        ("try:\n    import a\nexcept ImportError: pass", "a", False),
        ("def f():\n    import a", "a", True),
        ("async def f():\n    from a import b", "a.b", True),
        ("def f():\n    return importlib.import_module('a.b')", "a.b", True),
    ],
)
def test_the_reader_finds_imports(source: str, target: str, lazy: bool) -> None:
    found = list(imports(source, "hamexplorer.dft.scf"))
    assert [(item.target, item.lazy) for item in found] == [(target, lazy)]


def test_the_reader_knows_packages_and_typing_blocks() -> None:
    (found,) = imports("from .scf import run", "hamexplorer.dft", is_package=True)
    assert found.target == "hamexplorer.dft.scf.run"
    source = "if TYPE_CHECKING:\n    import a\nelse:\n    import b"
    assert [item.typing_only for item in imports(source, "m")] == [True, False]


def test_table_names_what_the_document_names() -> None:
    document = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in document.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(ALLOWED)


def test_every_top_level_module_is_in_the_table() -> None:
    units = {unit(name) for name in MODULES} - {ROOT}
    assert units <= set(ALLOWED), "add it to docs/architecture.md and to ALLOWED"


def test_packages_import_only_what_they_may() -> None:
    wrong = []
    for origin, target, name, found in INTERNAL:
        if origin == ROOT:
            continue
        allowed = target in ALLOWED[origin] or (target == ROOT and origin in MAY_IMPORT_ROOT)
        apart = found.lazy or found.typing_only
        lazily = apart and (origin, target) in ALLOWED_LAZILY
        if not (allowed or lazily):
            wrong.append(where(name, found))
    assert not wrong, "\n".join(wrong)


def test_packages_import_each_other_without_cycles() -> None:
    graph: dict[str, set[str]] = {}
    for origin, target, _, found in INTERNAL:
        apart = found.lazy or found.typing_only
        lazily = apart and (origin, target) in ALLOWED_LAZILY
        if ROOT not in {origin, target} and not lazily:
            graph.setdefault(origin, set()).add(target)
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle


def test_crystal_toolkit_is_imported_lazily() -> None:
    # The import costs 5.5 to 8 s and patches MSONable for the whole process.
    wrong = [
        where(name, found)
        for name, found in IMPORTS
        if found.target.partition(".")[0] == "crystal_toolkit"
        and not (found.lazy or found.typing_only)
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_hamexplorer_stays_light() -> None:
    heavy = ["torch", "panel", "pyscf", "pymatgen", "crystal_toolkit", "holoviews", "matplotlib"]
    code = f"import sys, hamexplorer; print(*[m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.split() == []


def test_no_file_holds_the_path_of_this_checkout() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        cwd=REPOSITORY,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    # Bounded on both sides: a checkout in /app must not match "hamexplorer/app/".
    path = re.compile(rb"(?<![\w.~-])" + re.escape(str(REPOSITORY).encode()) + rb"(?![\w-])")
    wrong = []
    for name in listed.stdout.decode().split("\0"):
        file = REPOSITORY / name
        if not name or not file.is_file():
            continue
        content = file.read_bytes()
        if b"\0" not in content[:8192] and path.search(content):
            wrong.append(name)
    assert not wrong, wrong
