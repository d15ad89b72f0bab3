"""What the source says about itself, found without running it: who reads, who calls, who logs what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.docs.pages import ROOT

__all__ = ["attributes_read", "calls", "last_name", "logged", "parsed", "sources"]

PACKAGE = ROOT / "eventbus"
LOGS = {"log", "logger", "bound"}
"""How logs are called here: `log`, `self._log`, `bound`."""


def sources(*parts: str) -> list[Path]:
    """All modules of the package, or of these parts of it."""
    paths = [PACKAGE / part for part in parts] or [PACKAGE]
    return sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py")))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a module, for looking only."""
    return ast.parse(path.read_text(), str(path))


def attributes_read(tree: ast.AST, *, outside: str = "") -> set[tuple[str, str]]:
    """What is read as an attribute, and of what, by its last name; outside of the class `outside`."""
    return {
        (last_name(node.value), node.attr)
        for node in _walk(tree, outside)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def last_name(value: ast.expr) -> str:
    """`retry` of `route.retry`, `options` of `self._options`; empty for what has no name."""
    return (value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")).strip("_")


def calls(tree: ast.AST) -> set[str]:
    """Names that are called as attributes or as plain functions."""
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        function.attr if isinstance(function, ast.Attribute) else function.id
        for function in functions
        if isinstance(function, ast.Attribute | ast.Name)
    }


def logged(tree: ast.AST) -> Iterator[tuple[str, ast.expr | None, int]]:
    """Level, event and line of every call of a log's method."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        level = {"exception": "error", "warn": "warning"}.get(node.func.attr, node.func.attr)
        if level in {"debug", "info", "warning", "error", "critical"} and last_name(node.func.value) in LOGS:
            yield level, node.args[0] if node.args else None, node.lineno


def _walk(tree: ast.AST, outside: str) -> Iterator[ast.AST]:
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.ClassDef) and child.name == outside):
            yield from _walk(child, outside)
