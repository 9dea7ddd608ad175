"""A policy somebody else wrote: whatever it does, a request goes where it may go."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import copy

from ...types import Call, Candidate
from ._policy import Policy

__all__ = ["Checked"]

# Faults of one policy that are logged, each once.
SAID = 8
LOG = logging.getLogger("aigateway.routing")


class Checked:
    """Take of a plug-in's order what was put before it; keep the order of the configuration when it fails."""

    def __init__(self, route: str, policy: Policy) -> None:
        self.needs_facts = getattr(policy, "needs_facts", True)
        self.needs_cost = getattr(policy, "needs_cost", False)
        self._route = route
        self._policy = policy
        self._said: set[str] = set()  # one for all copies

    def __copy__(self) -> Checked:
        made = Checked(self._route, copy(self._policy))
        made._said = self._said
        return made

    def order(self, call: Call, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Order them; what was not among them is left out, so is what comes twice."""
        try:
            ours = {id(candidate.target): candidate for candidate in candidates}
            named = {str(candidate.target): candidate for candidate in reversed(candidates)}
            given = (
                ours.get(id(each.target)) or named.get(str(each.target))
                for each in self._policy.order(call, candidates)
            )
            ordered = list({id(each.target): each for each in given if each is not None}.values())
            if ordered:
                return ordered
            fault = "gave no candidate back"
        except Exception as error:
            fault = f"failed ({type(error).__name__})"
        if fault not in self._said and len(self._said) < SAID:
            LOG.warning("the policy of routes.%s %s; the order of the configuration counts", self._route, fault)
            self._said.add(fault)
        return candidates
