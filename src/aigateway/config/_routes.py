"""The tables of routes: targets, limits, retries, how far a route goes for an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ..routing import When
from ..types import Hedge, Recovery, Retries, Shadow, Terms, Timeouts
from ._tables import Seconds, Table

__all__ = [
    "HedgeSettings", "RetrySettings", "RouteSettings", "ShadowSettings", "TargetSettings", "TimeoutSettings",
    "WhenSettings",
]  # fmt: skip  # a list of names

Operation = Literal["chat", "completions", "responses", "messages", "embeddings", "images"]

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


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


OneOrMore = BeforeValidator(_as_list, json_schema_input_type=str | list[str])
Names = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1), OneOrMore]


class WhenSettings(Table):
    """When an entry counts: every condition that is set has to hold, with any one of its names."""

    tags: Names | None = None
    metadata: dict[str, Names] = {}
    caller: Names | None = None
    tenant: Names | None = None
    scopes: Annotated[list[Literal["chat", "admin"]], Field(min_length=1), OneOrMore] | None = None
    operation: Annotated[list[Operation], Field(min_length=1), OneOrMore] | None = None
    stream: bool | None = None
    input_tokens_above: Annotated[int, Field(ge=0)] | None = None
    input_tokens_below: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        above, below = self.input_tokens_above, self.input_tokens_below
        if above is not None and below is not None and below <= above + 1:
            raise ValueError(f"no request has more than {above} tokens and fewer than {below}; make them overlap")
        return self

    def build(self) -> When:
        """Give the conditions."""
        sets = ("tags", "caller", "tenant", "scopes", "operation")
        return When(
            **{name: frozenset(getattr(self, name) or ()) for name in sets},
            metadata={name: frozenset(values) for name, values in self.metadata.items()},
            stream=self.stream,
            input_above=self.input_tokens_above,
            input_below=self.input_tokens_below,
        )


class TargetSettings(Table):
    """One target of a route, when it needs more than its name; a target may be a route."""

    to: Annotated[str, Field(min_length=1)]
    weight: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    timeouts: TimeoutSettings = TimeoutSettings()
    when: WhenSettings | None = None


class ShadowSettings(Table):
    """Where copies of requests go whose answers nobody gets."""

    to: Annotated[str, Field(min_length=1)]
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    in_flight: Annotated[int, Field(ge=1, le=1000)] = 4
    timeout: Seconds = 60.0


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
    shadow: ShadowSettings | None = None

    @model_validator(mode="after")
    def _hold_goes_with_its_mode(self) -> Self:
        if self.hold is not None and self.recovery != "hold":
            raise ValueError('`hold` counts characters for recovery = "hold"; set that too, or leave `hold` out')
        return self

    def terms(self, base: Retries, shadow: Shadow | None = None) -> Terms:
        """Say how far the route goes for an answer."""
        hold = (self.hold or HELD) if self.recovery == "hold" else 0
        hedge = Hedge(self.hedge.quantile, self.hedge.extra) if self.hedge else None
        return Terms(self.retries.over(base), self.recovery, hold, hedge, self.timeouts.total, shadow)
