"""What a scenario file may say; anything else is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import exp, log
from random import Random
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from .._clock import START

__all__ = ["Arrivals", "Behaviour", "Fault", "FaultKind", "Leaving", "Phase", "Questions", "Scenario", "Spread"]

DAY = 86_400.0
Seconds = Annotated[float, Field(ge=0, le=DAY, allow_inf_nan=False)]
Duration = Annotated[float, Field(gt=0, le=DAY, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Names = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
# The 95th percentile of a normal distribution, in standard deviations.
P95 = 1.6448536269514722

FaultKind = Literal[
    "error", "error_event", "rate_limit", "auth", "no_money", "context_length", "html", "bad_json", "down",
    "black_hole", "reset", "hang", "cut", "stall", "slow",
]  # fmt: skip  # a list of words
# Which settings belong to which kinds; `at`, `until`, `share`, `every`, `calls` and `keys` go with all.
OWN: Mapping[str, tuple[FaultKind, ...]] = {
    "status": ("error",),
    "retry_after": ("error", "rate_limit"),
    "after": ("cut", "stall", "error_event", "bad_json"),
    "factor": ("slow",),
}


class Table(BaseModel):
    """Refuse unknown names, never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Spread(Table):
    """A number that varies from call to call, log-normally; without `p95` it is always the median."""

    median: Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False)]
    p95: Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _p95_is_larger(self) -> Self:
        if self.p95 is not None and self.p95 < self.median:
            raise ValueError("p95 must not be smaller than the median")
        return self

    def draw(self, random: Random) -> float:
        """Give the next one."""
        if self.p95 is None or self.p95 == self.median:
            return self.median
        return self.median * exp(random.gauss(0.0, log(self.p95 / self.median) / P95))


def _as_spread(value: object) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"median": value} if number else value


Varying = Annotated[Spread, BeforeValidator(_as_spread)]


class Fault(Table):
    """One way a vendor fails, from `at` until `until`; of several that hit a call, the first counts.

    It hits every call, or a random `share`, or one in `every`; at most `calls` of them, and only
    those with one of the `keys` (from 1), where these are given.
    """

    kind: FaultKind
    at: Seconds = 0.0
    until: Seconds | None = None
    share: Share | None = None
    every: Count | None = None
    calls: Count | None = None
    keys: list[Count] = []
    status: int = 500
    retry_after: Seconds | None = None
    after: Annotated[int, Field(ge=0, le=1000)] = 3
    factor: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = 10.0

    @field_validator("status")
    @classmethod
    def _is_a_failure(cls, status: int) -> int:
        if status != 200 and not 400 <= status <= 599:
            raise ValueError("must be 400 to 599, or 200 for a failure inside of a success")
        return status

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, kinds in OWN.items():
            if name in self.model_fields_set and self.kind not in kinds:
                raise ValueError(f"`{name}` goes with {', '.join(kinds)}; leave it out")
        if self.until is not None and self.until <= self.at:
            raise ValueError("`until` must be later than `at`")
        if self.share is not None and self.every is not None:
            raise ValueError("`share` and `every` exclude each other")
        return self

    def active(self, now: float) -> bool:
        """Tell whether it is on."""
        return self.at <= now and (self.until is None or now < self.until)

    @property
    def is_outage(self) -> bool:
        """Tell whether it leaves nothing of the vendor while it lasts."""
        partial = self.share is not None or self.every is not None or self.calls is not None or self.keys
        return not partial and self.kind not in {"slow", "context_length"}


class Behaviour(Table):
    """How one vendor behaves; `type` is its plug-in's name, unless the table is called like it."""

    type: str = ""
    keys: Annotated[int, Field(ge=1, le=1000)] = 1
    accounts: Annotated[int, Field(ge=1, le=1000)] = 1
    latency: Seconds = 0.05
    first_content: Varying = Spread(median=0.4, p95=1.2)
    tokens_per_s: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = 80.0
    requests_per_minute: Count | None = None
    concurrency: Count | None = None
    names_wait: bool | None = None
    faults: list[Fault] = []


class Phase(Table):
    """From `at` on, another rate."""

    at: Seconds
    rate: Rate


class Arrivals(Table):
    """How often somebody asks, per second."""

    rate: Rate = 10.0
    spacing: Literal["poisson", "even"] = "poisson"
    phases: list[Phase] = []

    @field_validator("phases")
    @classmethod
    def _follow_each_other(cls, phases: list[Phase]) -> list[Phase]:
        times = [phase.at for phase in phases]
        if times != sorted(set(times)):
            raise ValueError("each phase must begin later than the one before")
        return phases


class Leaving(Table):
    """The share of clients who leave, and after how long."""

    share: Share
    after: Varying


class Questions(Table):
    """What is asked: shares, sizes in tokens, and for how long an answer is waited for."""

    model: str = ""
    callers: Annotated[int, Field(ge=1, le=1_000_000)] | Names = 1
    stream: Share = 0.5
    prompt: Varying = Spread(median=200.0)
    tokens: Varying = Spread(median=60.0)
    pieces: Annotated[int, Field(ge=1, le=1000)] = 10
    deadline: Duration | None = None
    leave: Leaving | None = None


class Scenario(Table):
    """Who asks, how vendors behave, and through which gateway."""

    seed: int = 0
    duration: Duration | None = None
    requests: Count | None = None
    start: datetime = START
    config: str = ""
    arrivals: Arrivals = Arrivals()
    request: Questions = Questions()
    vendors: dict[str, Behaviour] = {}
    gateway: dict[str, Any] = {}

    @field_validator("start")
    @classmethod
    def _has_a_zone(cls, start: datetime) -> datetime:
        if start.tzinfo is None:
            raise ValueError("must name its zone, such as 2026-11-20T12:00:00Z")
        return start

    @model_validator(mode="after")
    def _one_gateway(self) -> Self:
        if self.config and self.gateway:
            raise ValueError("`config` and `gateway` exclude each other. Leave one out")
        if self.duration is None and self.requests is None:
            raise ValueError("neither `duration` nor `requests` says when it ends. Add one")
        if not self.vendors and not self.config:
            raise ValueError("there is no vendor. Add [vendors.deepseek], say")
        return self
