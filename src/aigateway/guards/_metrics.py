"""Prometheus metrics of calls; right with several workers, too."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError
from ..types import Call, Outcome, Step
from ._guard import GuardOptions

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["CONTENT_TYPE", "SHARED", "Metrics", "forget"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Where workers of one server keep their figures side by side; prometheus_client reads it when it is imported.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
# Names of models come from callers, too: more than so many are told as one.
MOST_TARGETS = 500
PICO = 1e-12
KINDS = ("input", "cached", "cache_write", "output")


class Spent(NamedTuple):
    """What calls to vendors were, used and cost."""

    attempts: Counter
    tokens: Counter
    cost: Counter


class Families(NamedTuple):
    """What is measured; `copies` of requests apart from what callers asked for."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    first_content: Histogram
    spent: Spent
    copies: Spent
    under_way: Gauge
    http: Counter


@cache
def families() -> Families:
    """Make the metrics, once a process: all gateways in it are told together. Raises ConfigurationError."""
    try:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
    except ImportError:
        raise ConfigurationError(
            "the guard 'metrics' needs prometheus-client. Install it with: pip install 'aigateway[metrics]'"
        ) from None
    into, target = CollectorRegistry(), ("provider", "model")

    def counter(name: str, text: str, *labels: str) -> Counter:
        return Counter(f"aigateway_{name}", text, labels, registry=into)

    def spent(kind: str, whose: str) -> Spent:
        return Spent(
            counter(f"{kind}attempts", f"{whose} to vendors that have ended.", *target, "outcome"),
            counter(f"{kind}tokens", f"Tokens {whose.lower()} used, in buckets that do not overlap.", *target, "kind"),
            counter(f"{kind}cost_dollars", f"What {whose.lower()} cost; source is how it is known.", *target, "source"),
        )

    return Families(
        into,
        counter("requests", "Calls that have ended.", "operation", "outcome"),
        Histogram("aigateway_request_seconds", "Seconds a call took.", ["operation"], buckets=SECONDS, registry=into),
        Histogram("aigateway_first_content_seconds", "Until first content.", target, buckets=SECONDS, registry=into),
        spent("", "Calls"),
        spent("shadow_", "Copies"),
        Gauge("aigateway_calls_under_way", "Calls that have not ended.", multiprocess_mode="livesum", registry=into),
        counter("http_requests", "HTTP requests answered, by status.", "status"),
    )


@cache
def labelled(family: Any, *labels: str) -> Any:
    """Give the child of a family; looking it up there costs several times as much."""
    return family.labels(*labels)


class Metrics:
    """Count calls, attempts, tokens and money."""

    SETTINGS: Mapping[str, Any] = {}
    instant = True

    def __init__(self, options: GuardOptions) -> None:
        self._of = families()
        self._targets: set[str] = set()

    async def enter(self, call: Call) -> None:
        """Count it as under way."""
        self._of.under_way.inc()

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Count how it ended, and what each attempt was."""
        of = self._of
        of.under_way.dec()
        labelled(of.requests, call.operation, outcome.state).inc()
        labelled(of.seconds, call.operation).observe(outcome.seconds)
        steps = call.trace.steps
        for step in steps if call.reply is None else ():
            self._count(step, of.spent)
        if outcome.first_content is not None and steps and call.reply is None:
            first = _first(steps, outcome.first_content)
            labelled(of.first_content, *self._names(first.target)).observe(outcome.first_content)

    def copied(self, steps: Sequence[Step]) -> None:
        """Count a copy of a request, apart from what callers asked for."""
        for step in steps:
            self._count(step, self._of.copies)

    def http(self, status: int) -> None:
        """Count an HTTP request that was answered, whether or not a call came of it."""
        labelled(self._of.http, str(status)).inc()

    def page(self) -> bytes:
        """Write all figures as Prometheus reads them, those of the workers beside this one included."""
        from prometheus_client import CollectorRegistry, generate_latest

        if not os.environ.get(SHARED):
            return generate_latest(self._of.registry)
        from prometheus_client.multiprocess import MultiProcessCollector

        gathered = CollectorRegistry()
        MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]  # prometheus_client's own signature
        return generate_latest(gathered)

    def _count(self, step: Step, of: Spent) -> None:
        names = self._names(step.target)
        labelled(of.attempts, *names, step.outcome).inc()
        usage = step.usage
        if usage is not None and usage.source != "unknown" and step.billed != "no":
            counts = usage.uncached, usage.cached, usage.cache_write, usage.output
            for kind, count in zip(KINDS, counts, strict=True):
                if count:
                    labelled(of.tokens, *names, kind).inc(count)
        if step.billed != "no" and step.cost.amount:
            labelled(of.cost, *names, step.cost.source).inc(step.cost.amount * PICO)

    def _names(self, target: str) -> tuple[str, str]:
        if target not in self._targets:
            if len(self._targets) >= MOST_TARGETS:
                return "other", "other"
            self._targets.add(target)
        provider, _, model = target.partition("/")
        return provider, model


def _first(steps: Sequence[Step], seconds: float) -> Step:
    """Find who gave the first content, so many seconds after the call began: others may have gone on, or been late."""
    known = [step for step in steps if step.first_content is not None]
    return min(known, key=lambda step: abs(step.start + (step.first_content or 0.0) - seconds), default=steps[-1])


def forget(process: int) -> None:
    """Let go of what a worker that has ended had under way; its counts stay."""
    if os.environ.get(SHARED):
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(process)  # type: ignore[no-untyped-call]  # prometheus_client's own signature
