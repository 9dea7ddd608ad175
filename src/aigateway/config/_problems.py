"""Say what is wrong with a configuration: where, what, and the nearest right thing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from ..errors import ConfigurationError
from ._origin import Context, Names

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["explain", "parse_toml", "unknown_setting"]


def parse_toml(text: str, origin: str) -> dict[str, Any]:
    """Read TOML. Raises ConfigurationError with line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, where = str(error).rpartition(" (at ")
        place = re.fullmatch(r"line (\d+), column \d+\)", where)
        line = int(place[1]) if place else 0
        way_on = _left_open(text, line) or "Correct that line."
        at = where.rstrip(")") if place else "its end"
        raise ConfigurationError(f"{origin} is not valid TOML at {at}: {reason or error}. {way_on}") from None


# What opens and closes, in the order they are looked for; a text of one line ends with it.
MARKS = re.compile(
    r"""#[^\n]*|"{3}(?:\\.|[^\\])*?"{3}|'{3}.*?'{3}|"{3}|'{3}|"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?|[\[\]{}]""", re.DOTALL
)


def _left_open(text: str, line: int) -> str:
    """Say which bracket, or text of several lines, of an earlier line is open where TOML ends to make sense."""
    before = "".join(text.splitlines(keepends=True)[: line - 1]) if line else text
    opened: list[tuple[str, int]] = []
    for mark in MARKS.finditer(before):
        if mark[0] in {"[", "{", '"""', "'''"}:
            opened.append((mark[0], mark.start()))
        elif mark[0] in {"]", "}"} and opened:
            opened.pop()
    if not opened:
        return ""
    what, at = opened[-1]
    still = "is still open there. Close it" if line else "is never closed. Close it"
    return f"The {what} of line {before.count(chr(10), 0, at) + 1} {still}."


def explain(error: ValidationError, model: type[BaseModel], context: Context) -> ConfigurationError:
    """Turn the first problem into one line."""
    problems = error.errors(include_url=False, include_input=False)
    # A misspelt name is also a missing one; the misspelling is what a person wants to hear of.
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    path = _without_unions(first["loc"])
    if UNSET.match(first["msg"]) and (several := _unset(problems, context)):
        return several
    if first["type"] == "extra_forbidden":
        return unknown_setting(path, _allowed(model, path[:-1]), context)
    where = context.where(path)
    name = dotted(path) or "the settings"
    if first["type"] == "missing":
        return ConfigurationError(f"{where}: {name} is missing. Add it.")
    return ConfigurationError(f"{where}: {name}: {_reason(first['type'], first['msg'])}{_hint(first, path, context)}")


UNSET = re.compile(r"Value error, the environment variable (\w+) is not set or empty\.")
# Variables that are named at once.
SHOWN = 8


def _unset(problems: Sequence[ErrorDetails], context: Context) -> ConfigurationError | None:
    """Name all variables that are not set, if there is more than one."""
    found = [(match[1], problem) for problem in problems if (match := UNSET.match(problem["msg"]))]
    names = list(dict.fromkeys(name for name, _ in found))
    if len(names) < 2:
        return None
    numbers = [context.line(_without_unions(problem["loc"])) for _, problem in found]
    lines = [str(number) for number in dict.fromkeys(numbers) if number]
    where = f", line{'s' if len(lines) > 1 else ''} {_together(lines)}" if lines else ""
    told = f"the environment variables {_together(names)} are not set or empty. Set them, or remove what names them."
    return ConfigurationError(f"{context.origin}{where}: {told}")


def _together(words: Sequence[str]) -> str:
    """Join words as people do; of many the first ones."""
    left = len(words) - SHOWN
    *first, last = [*words[:SHOWN], f"{left} more"] if left > 0 else words
    return f"{', '.join(first)} and {last}" if first else last


def _hint(problem: ErrorDetails, path: Names, context: Context) -> str:
    """Say how a table, or a list of tables, is written, where brackets were mixed up."""
    name = dotted(path)
    single = rf"^[ \t]*\[[ \t]*{re.escape(name)}[ \t]*[].]"
    if problem["type"] == "list_type" and re.search(single, context.text, re.MULTILINE):
        return f". Write [[{name}]] above each one, with two brackets"
    if problem["type"] == "model_type" and re.search(single.replace("\\[", r"\[\[", 1), context.text, re.MULTILINE):
        return f". Write [{name}], with one bracket: there is one"
    if problem["type"] == "model_type" and name.endswith("]") and ".keys[" in f".{name}":
        return ', such as { secret = "env:NAME" }'
    return ""


# What pydantic calls them, and what people do.
WORDS = {
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "list_type": "must be a list",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "too_short": "must not be empty",
}


def _reason(kind: str, message: str) -> str:
    message = message.removeprefix("Value error, ").replace("Input should be", "must be")
    return WORDS.get(kind, message[0].lower() + message[1:])


# What is looked for in a table, and stands elsewhere.
ON_TOP = {"default_model", "unknown_models", "fallback", "plugins"}
OF_REQUESTS = {"max_price", "only", "ignore", "order", "sort", "deadline", "models"}


def unknown_setting(path: Names, allowed: Sequence[str], context: Context) -> ConfigurationError:
    """Name the nearest valid setting."""
    where = context.where(path)
    name = str(path[-1])
    near = get_close_matches(name, allowed, 1, 0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Valid here: {', '.join(sorted(allowed)) or 'nothing'}."
    if len(path) > 1 and name in ON_TOP:
        hint = f"{name} stands at the top of the file, before every table."
    elif path[0] == "routes" and name in OF_REQUESTS:
        hint = f"It is for one request to say, in its own 'routing'. {'' if near else hint}".rstrip()
    return ConfigurationError(f"{where}: {dotted(path)} is not a setting. {hint}")


def dotted(path: Names) -> str:
    """Write a path as people do: guards[0].use."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _allowed(model: type[BaseModel], path: Names) -> list[str]:
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
    """See through Annotated and `| None`, to the model, list or dict inside."""
    while True:
        parts = get_args(annotation)
        if hasattr(annotation, "__metadata__"):
            annotation = parts[0]
        elif NoneType in parts:
            annotation = next(part for part in parts if part is not NoneType)
        else:
            return annotation


def _without_unions(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Drop the names pydantic gives to validators; settings never look like `function-before[...]`."""
    return tuple(part for part in loc if not (isinstance(part, str) and "[" in part))
