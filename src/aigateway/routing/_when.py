"""When an entry of a route counts: conditions on what is asked, and on who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..types import Call

__all__ = ["When"]

NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class When:
    """Hold for a request when every condition does that is set; of a set of names any one will do.

    `input_above` and `input_below` are tokens, as far as they can be estimated before the call.
    """

    tags: frozenset[str] = NONE
    metadata: Mapping[str, frozenset[str]] = field(default_factory=dict)
    caller: frozenset[str] = NONE
    tenant: frozenset[str] = NONE
    scopes: frozenset[str] = NONE
    operation: frozenset[str] = NONE
    stream: bool | None = None
    input_above: int | None = None
    input_below: int | None = None

    def broken(self, call: Call, tokens: int) -> str:
        """Name the first condition that does not hold, "" when all do; never what it wants: callers may be told."""
        request = call.request
        if self.tags and self.tags.isdisjoint(request.routing.tags):
            return "tags"
        if self.metadata and not self._describes(request.body.get("metadata")):
            return "metadata"
        if self.operation and call.operation not in self.operation:
            return "operation"
        if self.stream is not None and request.stream is not self.stream:
            return "stream"
        if self.input_above is not None and tokens <= self.input_above:
            return "input_tokens_above"
        if self.input_below is not None and tokens >= self.input_below:
            return "input_tokens_below"
        return self._broken_by(call) if self.caller or self.tenant or self.scopes else ""

    def _broken_by(self, call: Call) -> str:
        caller = call.caller
        if self.caller and caller.name not in self.caller:
            return "caller"
        if self.tenant and caller.tenant not in self.tenant:
            return "tenant"
        return "scopes" if self.scopes and self.scopes.isdisjoint(caller.scopes) else ""

    def _describes(self, metadata: object) -> bool:
        if not isinstance(metadata, Mapping):
            return False
        found = ((metadata.get(name), wanted) for name, wanted in self.metadata.items())
        return all(isinstance(value, str) and value in wanted for value, wanted in found)
