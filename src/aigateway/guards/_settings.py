"""What a guard reads out of its table."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ..errors import ConfigurationError
from ._guard import GuardOptions

__all__ = ["count_of", "flag_of", "one_of"]


def count_of(options: GuardOptions, name: str, most: int = 10**9) -> int:
    """Read a count. Raises ConfigurationError for what is none."""
    value = options.settings[name]
    if type(value) is not int or not 0 <= value <= most:
        raise ConfigurationError(f"{name} must be a whole number from 0 to {most}, not {value!r:.40}.")
    return value


def flag_of(options: GuardOptions, name: str) -> bool:
    """Read true or false. Raises ConfigurationError for what is neither."""
    value = options.settings.get(name, False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, not {value!r:.40}.")
    return value


def one_of(options: GuardOptions, name: str, words: Iterable[str]) -> str:
    """Read one of several words. Raises ConfigurationError that names the nearest."""
    value, known = options.settings[name], list(words)
    if not isinstance(value, str) or value not in known:
        near = get_close_matches(str(value), known, 1, 0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(f"{name} must be one of {', '.join(known)}, not {value!r:.40}.{hint}")
    return value
