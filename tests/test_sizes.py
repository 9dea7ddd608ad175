"""The tree stays readable: short modules, short functions, few arguments; an exemption says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])
EDGES = ("cli", "testing", "asgi", "blocking.py", "__main__.py")
EXEMPTION = "# size:"  # followed by the reason, on the line of the `def`


def functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, lines[node.lineno - 1]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path: Path) -> None:
    """A module has at most 400 lines, a function 40, a constructor six keyword arguments."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    for node, line in functions(path):
        if EXEMPTION in line:
            continue
        assert (node.end_lineno or 0) - node.lineno + 1 <= 40, f"{node.name} is too long"
        if node.name == "__init__":
            assert len(node.args.kwonlyargs) <= 6, f"line {node.lineno}: the seventh argument is a missing object"


def test_the_core_is_small() -> None:
    """The core without edges and test kit stays within 6,000 lines."""
    core = [
        p for p in ROOT.glob("src/aigateway/**/*.py") if p.relative_to(ROOT / "src/aigateway").parts[0] not in EDGES
    ]

    assert sum(len(p.read_text(encoding="utf-8").splitlines()) for p in core) <= 6000
