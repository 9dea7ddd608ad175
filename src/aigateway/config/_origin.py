"""Where settings came from, and on which line of it each one stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..secrets import Elsewhere

__all__ = ["Context", "Names"]

Names = Sequence[str | int]
HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
ASSIGNMENT = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
WORD = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


@dataclass(frozen=True, slots=True)
class Context:
    """What reading settings may look at: an environment, a folder for relative files, the text.

    `elsewhere` collects the secrets that a plug-in has to read.
    """

    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    base: Path | None = None
    origin: str = "the given settings"
    text: str = field(default="", repr=False)
    elsewhere: list[Elsewhere] = field(default_factory=list, repr=False)

    def where(self, path: Names) -> str:
        """Say where a setting stands, such as `aigateway.toml, line 7`."""
        line = self.line(path)
        return f"{self.origin}, line {line}" if line else self.origin

    def line(self, path: Names) -> int | None:
        """Give the line a setting stands on; None where there is no text, or nothing of it is in there."""
        return line_of(self.text, path)

    def where_written(self, value: str) -> str:
        """Say where a value stands, such as a reference that nobody but a plug-in understands."""
        lines = (number for number, line in enumerate(self.text.splitlines(), 1) if value in line)
        line = next(lines, None)
        return f"{self.origin}, line {line}" if line else self.origin


def line_of(text: str, path: Names) -> int | None:
    """Find the line of a setting, or of the nearest thing around it that is written down."""
    best = deepest = inside = 0
    for number, written in _written(text):
        depth = _agreement(written, path)
        if depth == len(written) and depth > deepest:
            deepest, best = depth, number
        elif depth == len(path) and not inside:
            inside = number  # the first thing written inside of it
    return best or inside or None


def _written(text: str) -> list[tuple[int, list[str | int]]]:
    """List every header and assignment with its full path."""
    found: list[tuple[int, list[str | int]]] = []
    table: list[str | int] = []
    counts: dict[tuple[str | int, ...], int] = {}
    inside = False  # a text of several lines, where nothing is a setting
    for number, line in enumerate(text.splitlines(), 1):
        opens = (line.count('"""') + line.count("'''")) % 2 == 1
        if inside:
            inside = not opens
            continue
        inside = opens
        if header := HEADER.match(line):
            table = list(_words(header[2]))
            if header[1] == "[[":
                index = counts.get(tuple(table), -1) + 1
                counts[tuple(table)] = index
                table.append(index)
            found.append((number, table))
        elif assignment := ASSIGNMENT.match(line):
            found.append((number, [*table, *_words(assignment[1])]))
    return found


def _words(text: str) -> list[str]:
    return [_word(match[0]) for match in WORD.finditer(text)]


def _word(written: str) -> str:
    """Take the quotes off a name, and see what its escapes stand for."""
    name = written[1:-1] if written[0] in "\"'" else written
    if written[0] == '"' and "\\" in name:
        with suppress(ValueError):  # it is no TOML, then
            return next(iter(tomllib.loads(f"{written} = 0")))
    return name


def _agreement(written: Names, path: Names) -> int:
    count = 0
    for ours, theirs in zip(written, path, strict=False):
        if ours != theirs:
            break
        count += 1
    return count
