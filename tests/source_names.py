"""What is defined where in the package: for tests that compare pages with the code."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lockgate"


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def _defined(body: list[ast.stmt]) -> set[str]:
    found: set[str] = set()
    for node in body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                found.add(node.name)
            case ast.Assign():
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


def names_in(path: Path) -> set[str]:
    """Classes, functions and constants at the top of a module."""
    return _defined(tree_of(path).body)


def classes_in(path: Path) -> set[str]:
    return {node.name for node in tree_of(path).body if isinstance(node, ast.ClassDef)}
