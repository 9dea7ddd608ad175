"""The tree stays readable: short modules, short functions, few arguments; an exemption says why."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])
EDGES = ("cli", "testing", "asgi", "blocking.py", "__main__.py")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
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


def code_lines(path: Path) -> int:
    """Count lines of code: blank lines, comments and docstrings are none (docs/decisions/core-size.md)."""
    text = path.read_text(encoding="utf-8")
    counted: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in LAYOUT:
            counted.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            counted.difference_update(range(first.lineno, (first.end_lineno or 0) + 1))
    return len(counted)


def test_the_core_is_small() -> None:
    """No folder of the core has more than 1,000 lines of code, the core without edges and test kit 13,000."""
    folders: Counter[str] = Counter()
    for path in ROOT.glob("src/aigateway/**/*.py"):
        inside = path.relative_to(ROOT / "src/aigateway")
        if inside.parts[0] not in EDGES:
            folders[str(inside.parent)] += code_lines(path)

    assert not [folder for folder, lines in folders.items() if lines > 1000]
    assert folders.total() <= 13_000


def test_lines_of_code_are_counted(tmp_path: Path) -> None:
    """Docstrings, comments and blank lines are none; a long string and a wrapped call are."""
    sample = tmp_path / "sample.py"
    sample.write_text(
        '"""Doc.\n\nMore.\n"""\n\n# why\nX = """a\nb"""\n\n\ndef f(\n    a,\n):\n    """Doc."""\n    return a  # x\n'
    )

    assert 6 == code_lines(sample)
