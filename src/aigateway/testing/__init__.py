"""For people who test with us; imported by tests and commands only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._clock import LoopClock
    from ._conformance import ProviderConformance
    from ._fixtures import Fixture, Observed, load_fixtures, mismatches, play
    from .toxics import Bandwidth, BlackHole, Cut, Flow, HalfClose, Latency, Reset, Slicer, SlowClose, Toxic, Toxics

_HOME = {
    "Bandwidth": "toxics",
    "BlackHole": "toxics",
    "Cut": "toxics",
    "Fixture": "_fixtures",
    "Flow": "toxics",
    "HalfClose": "toxics",
    "Latency": "toxics",
    "LoopClock": "_clock",
    "Observed": "_fixtures",
    "ProviderConformance": "_conformance",
    "Reset": "toxics",
    "Slicer": "toxics",
    "SlowClose": "toxics",
    "Toxic": "toxics",
    "Toxics": "toxics",
    "load_fixtures": "_fixtures",
    "mismatches": "_fixtures",
    "play": "_fixtures",
}

__all__ = [
    "Bandwidth",
    "BlackHole",
    "Cut",
    "Fixture",
    "Flow",
    "HalfClose",
    "Latency",
    "LoopClock",
    "Observed",
    "ProviderConformance",
    "Reset",
    "Slicer",
    "SlowClose",
    "Toxic",
    "Toxics",
    "load_fixtures",
    "mismatches",
    "play",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
