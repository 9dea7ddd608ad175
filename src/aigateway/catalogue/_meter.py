"""What one call used and cost: told by the vendor where it tells, estimated where it may have counted and did not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..types import Clock, Cost, ModelInfo, Target, Usage
from ._cost import cost_of
from ._estimate import Estimator, size_of
from ._table import Catalogue

__all__ = ["FREE", "Bill", "Meter"]


class Meter:
    """Open a bill for each call to a vendor."""

    def __init__(self, catalogue: Catalogue, estimator: Estimator, clock: Clock) -> None:
        self._catalogue = catalogue
        self._estimator = estimator
        self._wall = clock.wall

    def open(self, target: Target) -> Bill:
        """Begin a call: its prices are those of this moment, however long it takes and whatever changes meanwhile."""
        info = self._catalogue.info(target.provider, target.model)
        return Bill(target, info, self._wall(), self._estimator)


class Bill:
    """Say what one call used and cost; without an estimator, that nobody knows."""

    __slots__ = ("_at", "_cost", "_estimator", "_info", "_target", "_usage")

    def __init__(
        self, target: Target, info: ModelInfo | None = None, at: float = 0.0, estimator: Estimator | None = None
    ) -> None:
        self._target = target
        self._info = info
        self._at = at
        self._estimator = estimator
        self._usage: Usage | None = None
        self._cost = Cost()

    def usage(self, told: Usage | None, body: Mapping[str, Any], said: int) -> Usage | None:
        """Give what was told, else an estimate from the request and the `said` bytes that came back."""
        if (told is not None and told.source != "unknown") or self._estimator is None:
            return told
        return self._estimator.spent(self._target, size_of(body), said)

    def cost(self, usage: Usage | None) -> Cost:
        """Price what was used; more than one asks for the same, and the prices do not change meanwhile."""
        if usage is not self._usage:
            self._usage, self._cost = usage, cost_of(usage, self._info, self._at)
        return self._cost

    def learn(self, usage: Usage | None, body: Mapping[str, Any]) -> None:
        """Let a report about a whole answer improve the estimates."""
        estimator = self._estimator
        if estimator is not None and usage is not None and usage.source == "reported" and estimator.wants(self._target):
            estimator.learn(self._target, size_of(body), usage)


class Free(Bill):
    """The bill of an answer no vendor was asked for: a guard had it."""

    __slots__ = ()

    def cost(self, usage: Usage | None) -> Cost:
        """Say that it cost nothing."""
        return Cost(0, "priced")


FREE = Free(Target("", ""))
