"""Write TOML: what people read and edit afterwards, so lines are kept short and comments are allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["comment", "header", "line", "value"]

BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
WIDTH = 110


def header(*names: str, many: bool = False) -> str:
    """Begin a table, or one of a list of them."""
    name = ".".join(_key(part) for part in names)
    return f"[[{name}]]" if many else f"[{name}]"


def line(name: str, content: Any) -> str:
    """Write one setting; a list that is too long for a line gets a line for each part."""
    written = f"{_key(name)} = {value(content)}"
    if len(written) <= WIDTH or not isinstance(content, list):
        return written
    return "\n".join([f"{_key(name)} = [", *(f"  {value(part)}," for part in content), "]"])


def value(content: Any) -> str:
    """Write a text, a number, a list or an inline table."""
    if isinstance(content, Mapping):
        inside = ", ".join(f"{_key(name)} = {value(part)}" for name, part in content.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(content, list):
        return f"[{', '.join(value(part) for part in content)}]"
    if isinstance(content, str):
        return _text(content)
    return str(content).lower() if isinstance(content, bool) else repr(content)


def comment(text: str) -> str:
    """Make a text a comment of one line, whatever it holds."""
    return "# " + UNPRINTABLE.sub(" ", text).strip()


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    """Write a basic string; its escapes are JSON's, but for what is no character by itself and DEL."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
