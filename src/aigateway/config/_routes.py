"""The tables of routes: targets, limits, retries, how far a route goes for an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from ..types import Hedge, Recovery, Retries, Target, Terms, Timeouts
from ._tables import Seconds, Table

__all__ = ["HedgeSettings", "RetrySettings", "RouteSettings", "TargetSettings", "TimeoutSettings"]

# Characters held back where a route says `recovery = "hold"` and no number: a few sentences.
HELD = 400


class TimeoutSettings(Table):
    """Limits in seconds; what is not given is inherited."""

    connect: Seconds | None = None
    first_content: Seconds | None = None
    silence: Seconds | None = None
    answer: Seconds | None = None
    total: Seconds | None = None

    def over(self, base: Timeouts) -> Timeouts:
        """Lay what is given over `base`."""
        return replace(base, **self.model_dump(exclude_none=True))


class RetrySettings(Table):
    """Bounds of the attempts of one request; what is not given is inherited."""

    attempts: Annotated[int, Field(ge=1, le=20)] | None = None
    same_target: Annotated[int, Field(ge=0, le=10)] | None = None
    patience: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] | None = None
    wait: bool | None = None

    def over(self, base: Retries) -> Retries:
        """Lay what is given over `base`."""
        return replace(base, **self.model_dump(exclude_none=True))


class HedgeSettings(Table):
    """When a second target is asked besides the first."""

    quantile: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    extra: Annotated[float, Field(gt=0, le=0.5)] = 0.05


class TargetSettings(Table):
    """One target of a route, when it needs more than its name."""

    to: Annotated[str, Field(min_length=1)]
    weight: Annotated[int, Field(ge=1)] = 1
    timeouts: TimeoutSettings = TimeoutSettings()


def _as_target(value: object) -> object:
    return {"to": value} if isinstance(value, str) else value


class RouteSettings(Table):
    """A name callers may ask for, and the targets it stands for."""

    policy: Annotated[str, Field(min_length=1)] = "priority"
    targets: Annotated[list[Annotated[TargetSettings, BeforeValidator(_as_target)]], Field(min_length=1)]
    timeouts: TimeoutSettings = TimeoutSettings()
    retries: RetrySettings = RetrySettings()
    recovery: Recovery = "terminate"
    hold: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    hedge: HedgeSettings | None = None

    @model_validator(mode="after")
    def _hold_goes_with_its_mode(self) -> Self:
        if self.hold is not None and self.recovery != "hold":
            raise ValueError('`hold` counts characters for recovery = "hold"; set that too, or leave `hold` out')
        return self

    def terms(self, base: Retries) -> Terms:
        """Say how far the route goes for an answer."""
        hold = (self.hold or HELD) if self.recovery == "hold" else 0
        hedge = Hedge(self.hedge.quantile, self.hedge.extra) if self.hedge else None
        return Terms(self.retries.over(base), self.recovery, hold, hedge, self.timeouts.total)

    def build(self, base: Timeouts) -> tuple[Target, ...]:
        """Give the targets; `to` without a provider is left for the gateway to look up."""
        limits = self.timeouts.over(base)
        return tuple(
            Target(*_split(target.to), weight=target.weight, timeouts=target.timeouts.over(limits))
            for target in self.targets
        )


def _split(name: str) -> tuple[str, str]:
    provider, slash, model = name.partition("/")
    return (provider, model) if slash else ("", name)
