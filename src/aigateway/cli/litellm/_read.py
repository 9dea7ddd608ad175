"""Read YAML somebody else wrote: bounded, without aliases that multiply, nothing but plain values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ConfigurationError

if TYPE_CHECKING:
    from yaml import Event

__all__ = ["read_yaml"]

# Bytes of a file, values it stands for once its aliases are followed, and levels of them.
LARGEST, MOST, DEEPEST = 1024 * 1024, 100_000, 60


def read_yaml(path: Path) -> dict[str, Any]:
    """Give the mapping a file holds. Raises ConfigurationError that shows nothing of it: keys may be written there."""
    try:
        import yaml
    except ImportError:
        raise ConfigurationError(
            "reading YAML needs PyYAML, which is not installed. Install it with: pip install 'aigateway[server]'"
        ) from None
    text = _text(path)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_size(yaml.parse(text, loader), path)
        found = yaml.load(text, loader)  # noqa: S506  # one of the two safe ones
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(f"{path.name} is not valid YAML{where}. Correct it there.") from None
    except (ValueError, OverflowError, RecursionError):  # dates and numbers that are none
        raise ConfigurationError(f"{path.name} holds a value that cannot be read. Write it as a text.") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path.name} holds no settings. Name LiteLLM's config.yaml.")
    return {str(name): value for name, value in found.items()}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}. Name LiteLLM's config.yaml.") from None
    if len(raw) > LARGEST:
        raise ConfigurationError(f"{path.name} is larger than {LARGEST // 1024} KiB. Name LiteLLM's config.yaml.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path.name} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from None


def _check_size(events: Any, path: Path) -> None:
    """Count what the aliases stand for before anything follows them, and refuse what has no end."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # the anchor of a list or table, and what was counted before it
    total = 0
    for event in events:
        kind = type(event).__name__
        if kind in {"SequenceStartEvent", "MappingStartEvent"}:
            open_nodes.append((event.anchor, total))
        if kind in {"ScalarEvent", "SequenceStartEvent", "MappingStartEvent"}:
            total += 1
        elif kind == "AliasEvent":
            total += _size_of(event, sizes, path)
        elif kind in {"SequenceEndEvent", "MappingEndEvent"}:
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        if kind == "ScalarEvent" and event.anchor:
            sizes[event.anchor] = 1
        if total > MOST or len(open_nodes) > DEEPEST:
            raise ConfigurationError(f"{path.name} holds more than LiteLLM's config.yaml can. Nothing was converted.")


def _size_of(alias: Event, sizes: dict[str, int], path: Path) -> int:
    name = getattr(alias, "anchor", "")
    if name not in sizes:
        raise ConfigurationError(f"{path.name} refers to what is not there, or to itself. Nothing was converted.")
    return sizes[name]
