"""What is measured: the loads, their lengths, and one sample of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

MAX_REQUESTS = 200_000
MAX_SECONDS = 20.0


@dataclass(frozen=True)
class Load:
    """One kind of load: for `seconds`, or, for streams, until `streams` of them have ended."""

    name: str
    in_flight: int
    warm: float
    seconds: float
    streams: int = 0

    def counted(self) -> Load:
        """Give the load whose cost counts."""
        return replace(self, warm=0.0)

    def warming(self) -> Load:
        """Give the load that goes before it: short, and one stream on every connection."""
        return replace(self, seconds=self.warm, streams=self.in_flight if self.streams else 0)

    def as_order(self) -> dict[str, Any]:
        """Write it for a child process."""
        return asdict(self)


@dataclass(frozen=True)
class Sample:
    """What one load showed. `units` are requests, or chunks of streams."""

    units: int
    requests: int
    cpu_s: float
    wall_s: float
    p50_ms: float
    p99_ms: float
    first_ms: float | None = None  # until the first chunk, median
    reads: float | None = None  # network reads per stream; far fewer than chunks means they were held back

    @property
    def cpu_us(self) -> float:
        """CPU per request, or per chunk, in microseconds."""
        return self.cpu_s / self.units * 1e6

    @property
    def per_second(self) -> float:
        """Give the requests per second."""
        return self.requests / self.wall_s


@dataclass(frozen=True)
class Plan:
    """How often and how long."""

    rounds: int
    loads: tuple[Load, ...]
    imports: int


FULL = Plan(
    rounds=3,
    loads=(
        Load("json64", in_flight=64, warm=0.25, seconds=1.2),
        Load("json1", in_flight=1, warm=0.05, seconds=0.6),
        Load("stream64", in_flight=64, warm=MAX_SECONDS, seconds=MAX_SECONDS, streams=128),
    ),
    imports=7,
)

QUICK = Plan(
    rounds=1,
    loads=(
        Load("json64", in_flight=64, warm=0.1, seconds=0.3),
        Load("json1", in_flight=1, warm=0.05, seconds=0.3),
        Load("stream64", in_flight=64, warm=0.0, seconds=MAX_SECONDS, streams=64),
    ),
    imports=2,
)


def percentile(values: Sequence[float], share: float) -> float:
    """Take a percentile of `values` by nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]
