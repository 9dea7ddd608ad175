"""For people who test with us; imported by tests and commands only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._conformance import ProviderConformance
    from ._fixtures import Fixture, Observed, load_fixtures, mismatches, play

_HOME = {
    "Fixture": "_fixtures",
    "Observed": "_fixtures",
    "ProviderConformance": "_conformance",
    "load_fixtures": "_fixtures",
    "mismatches": "_fixtures",
    "play": "_fixtures",
}

__all__ = ["Fixture", "Observed", "ProviderConformance", "load_fixtures", "mismatches", "play"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
