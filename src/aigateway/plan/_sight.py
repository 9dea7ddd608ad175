"""What a plan looks at for one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..catalogue import size_of
from ..operations import speaks
from ..routing import Needs, Passed
from ..types import Call, Candidate, ModelInfo, Price, Target

if TYPE_CHECKING:
    from ._plan import Plan

__all__ = ["Sight"]

# More tokens than an estimate makes of a character, of a message.
PER_CHARACTER, PER_MESSAGE = 2.5, 40
# Targets without facts that are kept for a minute; a caller can name any number.
MOST_BARE = 4096
# Stands for a model nothing was learnt of.
ANY = Target("", "")


class Sight:
    """What is known of targets for one request; what costs something to work out is worked out once."""

    __slots__ = ("_bare", "_known", "_plan", "_request", "_rows", "_verdicts", "size")

    def __init__(self, plan: Plan, call: Call) -> None:
        self._plan = plan
        self._request = call.request
        self._known = plan.parts.catalogue.info
        self._rows = plan.rows()
        self._bare = plan.bare
        self._verdicts: dict[str, tuple[str, str] | None] = {}
        self.size = size_of(call.request.body)

    def info(self, target: Target) -> ModelInfo | None:
        """Give what is known of a model."""
        return self._known(target.provider, target.model)

    def cannot(self, target: Target) -> tuple[str, str] | None:
        """Say why a provider cannot be asked this: a code, and a reason."""
        if self._request.native is not None:
            return self._cannot(target)
        try:  # without another dialect it is the provider's matter alone
            return self._verdicts[target.provider]
        except KeyError:
            verdict = self._verdicts[target.provider] = self._cannot(target)
            return verdict

    def _cannot(self, target: Target) -> tuple[str, str] | None:
        request, offered = self._request, self._plan.operations.get(target.provider)
        if offered is None or speaks(request, offered, target):
            return None
        if request.needs is not None:
            return "dialect", f"it is asked as chat: {request.needs.message}"
        if request.native is not None and "chat" in offered:
            return None
        return "operation", f"{target.provider} has no {request.operation}"

    def tokens(self, target: Target | None) -> int:
        """Estimate the tokens of the request, for one target or in general."""
        return self._plan.parts.estimator.input(target or ANY, self.size)

    def most(self) -> int:
        """Give the most tokens the request can be for any target, whatever is learnt of it."""
        return (
            int((self.size.plain + self.size.other) * PER_CHARACTER + self.size.messages * PER_MESSAGE)
            + self.size.extra
        )

    def price(self, info: ModelInfo) -> Price | None:
        """Give the prices of a model for this request, now."""
        known = self._rows.get(id(info))
        return known[1] if known is not None else self._plan.row(info, self.tokens(None))

    def passed(self, needs: Needs) -> Passed:
        """Give who passed for the same needs lately; what is asked in another dialect is looked at each time."""
        return self._plan.passed(needs) if self._request.native is None and self._request.needs is None else {}

    def candidate(self, target: Target, facts: bool, priced: bool) -> Candidate:
        """Gather what a policy asks for of a target; a policy that asks for nothing sees its name and its model."""
        if not facts and not priced:
            bare = self._bare.get(id(target))
            if bare is None:
                bare = Candidate(target, self.info(target))
                if len(self._bare) < MOST_BARE:
                    self._bare[id(target)] = bare
            return bare
        info = self.info(target)
        if not facts:
            return Candidate(target, info, cost=self._cost(target, info))
        found = self._plan.candidate(target)
        return found._replace(cost=self._cost(target, info)) if priced else found

    def _cost(self, target: Target, info: ModelInfo | None) -> int | None:
        """Estimate what the request will cost at a target."""
        usage = self._plan.parts.estimator.usage(target, self.size)
        row = self._plan.row(info, usage.input) if info is not None else None
        if row is None or row.input is None or row.output is None:
            return self._plan.price(target, usage).amount
        return usage.input * row.input + usage.output * row.output
