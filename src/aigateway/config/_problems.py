"""Say what is wrong with a configuration: where, what, and the nearest right thing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from ._settings import Context

__all__ = ["explain", "line_of", "parse_toml", "unknown_setting"]

Path = Sequence[str | int]
HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
ASSIGNMENT = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
WORD = re.compile(r"""[A-Za-z0-9_-]+|"([^"]*)"|'([^']*)'""")


def parse_toml(text: str, origin: str) -> dict[str, Any]:
    """Read TOML. Raises ConfigurationError with line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, where = str(error).rpartition(" (at ")
        where = where.rstrip(")") or "its end"
        raise ConfigurationError(
            f"{origin} is not valid TOML at {where}: {reason or error}. Correct that line."
        ) from None


def explain(error: ValidationError, model: type[BaseModel], context: Context) -> ConfigurationError:
    """Turn the first problem into one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = _without_unions(first["loc"])
    if first["type"] == "extra_forbidden":
        return unknown_setting(path, _allowed(model, path[:-1]), context)
    line = line_of(context.text, path)
    where = f"{context.origin}, line {line}" if line else context.origin
    name = dotted(path) or "the settings"
    if first["type"] == "missing":
        return ConfigurationError(f"{where}: {name} is missing. Add it.")
    reason = first["msg"].removeprefix("Value error, ")
    return ConfigurationError(f"{where}: {name}: {reason}")


def unknown_setting(path: Path, allowed: Sequence[str], context: Context) -> ConfigurationError:
    """Name the nearest valid setting."""
    line = line_of(context.text, path)
    where = f"{context.origin}, line {line}" if line else context.origin
    near = get_close_matches(str(path[-1]), allowed, 1, 0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Valid here: {', '.join(sorted(allowed)) or 'nothing'}."
    return ConfigurationError(f"{where}: {dotted(path)} is not a setting. {hint}")


def dotted(path: Path) -> str:
    """Write a path as people do: guards[0].use."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def line_of(text: str, path: Path) -> int | None:
    """Find the line of a setting, or of the nearest thing around it that is written down."""
    best: tuple[int, int] | None = None
    for number, written in _written(text):
        depth = _agreement(written, path)
        if depth and depth == len(written) and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def _written(text: str) -> list[tuple[int, list[str | int]]]:
    """List every header and assignment with its full path."""
    found: list[tuple[int, list[str | int]]] = []
    table: list[str | int] = []
    counts: dict[tuple[str | int, ...], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
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
    return [match[1] or match[2] or match[0] for match in WORD.finditer(text)]


def _agreement(written: Path, path: Path) -> int:
    count = 0
    for ours, theirs in zip(written, path, strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def _allowed(model: type[BaseModel], path: Path) -> list[str]:
    """List the settings valid at a path, walking the models' annotations."""
    current: Any = model
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel) and isinstance(part, str):
            found = current.model_fields.get(part)
            current = found.annotation if found else None
        else:
            current = get_args(current)[-1] if get_args(current) else None
        current = _unwrapped(current)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _unwrapped(annotation: Any) -> Any:
    """See through Annotated, to the model, list or dict inside."""
    while hasattr(annotation, "__metadata__"):
        annotation = get_args(annotation)[0]
    return annotation


def _without_unions(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Drop the names pydantic gives to validators; settings never look like `function-before[...]`."""
    return tuple(part for part in loc if not (isinstance(part, str) and "[" in part))
