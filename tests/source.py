"""The package's own source, as data: what the tests of the house look at."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

__all__ = ("PACKAGE", "ROOT", "Function", "functions", "module_name", "modules", "public_modules", "tree")

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "asyncdataflow"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """Every source file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    """The name under which a source file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def public_modules() -> list[Path]:
    """The source files whose names promise that users may import them."""
    return [
        path for path in modules() if not any(part.startswith("_") for part in module_name(path).split("."))
    ]


@functools.cache
def tree(path: Path) -> ast.Module:
    """A source file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(path: Path) -> list[tuple[str, Function]]:
    """Every function of a source file with its dotted name."""
    found: list[tuple[str, Function]] = []

    def visit(node: ast.AST, names: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, Function | ast.ClassDef)
            inner = (*names, child.name) if isinstance(child, Function | ast.ClassDef) else names
            if isinstance(child, Function):
                found.append((".".join(inner), child))
            visit(child, inner if named else names)

    visit(tree(path), ())
    return found
