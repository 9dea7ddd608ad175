"""What a conversion has to say, and the variables the new file reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite

__all__ = ["Notes", "Variables", "as_number"]

REFERENCE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
LONGEST = 300


class Notes:
    """Collect one line for each thing a person has to know; the same is said once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, text: str) -> None:
        """Say something, in one line."""
        line = UNPRINTABLE.sub(" ", text)
        line = line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
        if line not in self.lines:
            self.lines.append(line)


class Variables:
    """Give each secret of the old file the name of a variable; what is written there is never copied."""

    def __init__(self, notes: Notes, environ: Mapping[str, str], used: set[str]) -> None:
        self._notes = notes
        self._environ = environ
        self._used = used  # names the old file refers to
        self._literals: dict[str, str] = {}
        self.needed: dict[str, None] = {}

    def value(self, given: object) -> str | None:
        """Read what is no secret; None for a variable that is not set."""
        found = REFERENCE.fullmatch(str(given).strip())
        return (self._environ.get(found[1]) or None) if found else str(given)

    def reference(self, given: object, usual: tuple[str, ...], where: str) -> str:
        """Give `env:NAME` for a secret, or for the usual variable where none is given."""
        text = str(given or "").strip()
        found = REFERENCE.fullmatch(text)
        if found:
            name = found[1]
        elif not text:
            name = next((variable for variable in usual if self._environ.get(variable)), usual[0])
        else:
            name = self._literals.get(text) or self._new_name(text, usual[0], where)
        self.needed.setdefault(name)
        return f"env:{name}"

    def _new_name(self, text: str, usual: str, where: str) -> str:
        taken = {*self._used, *self._literals.values()}
        name, number = usual, 2
        while name in taken:
            name, number = f"{usual}_{number}", number + 1
        self._literals[text] = name
        self._notes.add(
            f"{where}: a key is written into the YAML. It was not copied: set {name} to it, or to a new one, for "
            "whoever saw that file saw the key."
        )
        return name


def as_number(given: object) -> float | None:
    """Read a number, written as one or as a text; None for anything else."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        number = float(given)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
