"""What is remembered about targets between calls, in this process."""

from __future__ import annotations

from dataclasses import replace

from ..types import Facts, Outcome, Target

__all__ = ["Memory"]

UNKNOWN = Facts()
# What says nothing about a target's health: the caller's own doing.
BLAMELESS = frozenset({"cancelled", "bad_request", "unsupported_param", "context_length", "content_policy"})


class Memory:
    """Keep facts per target; bounded by the targets a configuration and its callers name."""

    def __init__(self, limit: int = 4096) -> None:
        self._facts: dict[tuple[str, str], Facts] = {}
        self._limit = limit

    def facts(self, target: Target) -> Facts:
        """Give what is known."""
        return self._facts.get((target.provider, target.model), UNKNOWN)

    def begin(self, target: Target) -> None:
        """Count a call under way."""
        self._change(target, in_flight=self.facts(target).in_flight + 1)

    def end(self, target: Target, outcome: Outcome) -> None:
        """Count how a call ended."""
        facts = self.facts(target)
        flying = max(0, facts.in_flight - 1)
        kind = str(getattr(outcome.error, "cause_kind", None) or getattr(outcome.error, "kind", "")) or outcome.state
        if outcome.state == "complete":
            self._change(target, in_flight=flying, answered=facts.answered + 1, failing=0, last_kind="")
        elif kind in BLAMELESS:
            self._change(target, in_flight=flying)
        else:
            self._change(target, in_flight=flying, failed=facts.failed + 1, failing=facts.failing + 1, last_kind=kind)

    def health(self, provider: str) -> str:
        """Say `healthy` unless every target of the provider that was used is failing now."""
        used = [facts for (name, _), facts in self._facts.items() if name == provider and facts.answered + facts.failed]
        return "degraded" if used and all(facts.failing for facts in used) else "healthy"

    def _change(self, target: Target, **changes: int | str) -> None:
        if len(self._facts) >= self._limit:
            self._forget_idle()
        self._facts[target.provider, target.model] = replace(self.facts(target), **changes)  # type: ignore[arg-type]  # names are checked by replace

    def _forget_idle(self) -> None:
        self._facts = {name: facts for name, facts in self._facts.items() if facts.in_flight}
