"""OpenTelemetry spans of calls, named as its conventions for generative AI have it (semantic-conventions 1.37)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..types import Call, Outcome, Step
from ._guard import GuardOptions

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["Spans"]

OPERATIONS = {"completions": "text_completion", "images": "generate_content"}
NANO = 1_000_000_000


class Spans:
    """Tell each call as a span, each call to a vendor as a span within; never what was said.

    What is done with them, and where they go, is the program's own set-up of OpenTelemetry. A
    `traceparent` header is the parent; in-process, the span that is current.
    """

    SETTINGS: Mapping[str, Any] = {}
    instant = True

    def __init__(self, options: GuardOptions) -> None:
        try:
            from opentelemetry import trace
        except ImportError:
            raise ConfigurationError(
                "the guard 'otel' needs opentelemetry-api. Install it with: pip install 'aigateway[otel]'"
            ) from None
        self._clock = options.clock
        self._trace = trace
        self._tracer: Tracer = trace.get_tracer("aigateway")

    async def enter(self, call: Call) -> None:
        """Begin the span."""
        from opentelemetry.propagate import extract

        parent = extract(call.asks) if "traceparent" in call.asks else None
        operation = OPERATIONS.get(call.operation, call.operation)
        asked = {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": call.request.model,
            "aigateway.request.id": call.id,
            "aigateway.caller": call.caller.name,
        }
        kind = self._trace.SpanKind.INTERNAL
        name = f"{operation} {call.request.model}".strip()
        call.aside[id(self)] = self._tracer.start_span(name[:256], parent, kind, asked, start_time=self._now())

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """End it with what is known now."""
        span: Span | None = call.aside.pop(id(self), None)
        if span is None:
            return
        now = self._now()
        if span.is_recording():
            began = now - int(outcome.seconds * NANO)
            for step in call.trace.steps if call.reply is None else ():
                self._step(span, step, began)
            span.set_attributes(self._known(call, outcome))
            if outcome.state in {"failed", "interrupted"}:
                word = str(getattr(outcome.error, "code", None) or outcome.state)
                span.set_attribute("error.type", word)
                span.set_status(self._trace.StatusCode.ERROR, word)
        span.end(now)

    def _known(self, call: Call, outcome: Outcome) -> dict[str, Any]:
        steps, usage = call.trace.steps, outcome.usage
        found: dict[str, Any] = {"aigateway.attempts": len(steps), "aigateway.outcome": outcome.state}
        if steps:
            provider, _, model = steps[-1].target.partition("/")
            found |= {"gen_ai.provider.name": provider, "gen_ai.response.model": model}
        if usage is not None and usage.source != "unknown":
            found |= {"gen_ai.usage.input_tokens": usage.input, "gen_ai.usage.output_tokens": usage.output}
        if outcome.first_content is not None:
            found["aigateway.first_content_s"] = outcome.first_content
        return found

    def _step(self, parent: Span, step: Step, began: int) -> None:
        provider, _, model = step.target.partition("/")
        attributes: dict[str, Any] = {
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "aigateway.outcome": step.outcome,
            "aigateway.key": step.key,
        }
        if step.usage is not None and step.usage.source != "unknown":
            attributes["gen_ai.usage.input_tokens"] = step.usage.input
            attributes["gen_ai.usage.output_tokens"] = step.usage.output
        start = began + int(step.start * NANO)
        within = self._trace.set_span_in_context(parent)
        span = self._tracer.start_span(
            f"call {step.target}"[:256], within, self._trace.SpanKind.CLIENT, attributes, start_time=start
        )
        if step.outcome not in {"complete", "cancelled"}:
            span.set_attribute("error.type", step.outcome)
            span.set_status(self._trace.StatusCode.ERROR, step.outcome)
        span.end(start + int(step.seconds * NANO))

    def _now(self) -> int:
        return int(self._clock.wall() * NANO)
