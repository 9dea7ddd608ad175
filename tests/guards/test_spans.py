"""What OpenTelemetry is told: a span for the call, one for each call to a vendor; never what was said."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from aigateway.errors import Kind, ProviderError
from aigateway.guards import GuardOptions, Spans
from aigateway.testing import LoopClock
from aigateway.types import Call, ChatRequest, Outcome, Step, Usage

pytestmark = pytest.mark.anyio
USED = Usage(input=10, output=4, source="reported")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def span_of(told: InMemorySpanExporter, call: Call, outcome: Outcome) -> list[ReadableSpan]:
    """Tell of one call; give its spans, the call's own last."""
    guard = Spans(GuardOptions("otel", LoopClock(), Random(0)))
    await guard.enter(call)
    await guard.leave(call, outcome)
    return list(told.get_finished_spans())


def a_call(*steps: Step) -> Call:
    call = Call(
        ChatRequest.parse({"model": "smart", "messages": [{"role": "user", "content": "canary-said"}]}), id="r1"
    )
    call.trace.steps += steps
    return call


async def test_a_call_that_failed_over(told: InMemorySpanExporter) -> None:
    """The span has the names of the conventions; its parts tell who was asked, and what failed."""
    steps = [
        Step("a/m", "overloaded", start=0.0, seconds=0.5),
        Step("b/n", "complete", start=0.5, seconds=1.5, usage=USED),
    ]
    outcome = Outcome("complete", USED, seconds=2.0, first_content=0.7)
    failed, good, whole = await span_of(told, a_call(*steps), outcome)
    attributes = dict(whole.attributes or {})

    assert ["call a/m", "call b/n", "chat smart"] == [span.name for span in (failed, good, whole)]
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "smart",
        "gen_ai.provider.name": "b",
        "gen_ai.response.model": "n",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 4,
        "aigateway.request.id": "r1",
        "aigateway.attempts": 2,
        "aigateway.outcome": "complete",
        "aigateway.first_content_s": 0.7,
        "aigateway.caller": attributes["aigateway.caller"],
    } == attributes
    assert (StatusCode.ERROR, StatusCode.UNSET) == (failed.status.status_code, good.status.status_code)
    assert SpanKind.CLIENT is good.kind
    for span in (failed, good):
        assert span.parent is not None
        assert whole.context is not None
        assert whole.context.span_id == span.parent.span_id
    assert 500_000_000 == (failed.end_time or 0) - (failed.start_time or 0)
    assert (failed.end_time or 0) == good.start_time
    assert "canary-said" not in "".join(span.to_json() for span in (failed, good, whole))


async def test_a_call_that_failed(told: InMemorySpanExporter) -> None:
    """A failure has its kind, and the status of an error."""
    error = ProviderError(Kind.TIMEOUT, "too slow")
    _, whole = await span_of(told, a_call(Step("a/m", "timeout")), Outcome("failed", error=error))

    assert ("timeout", StatusCode.ERROR) == ((whole.attributes or {})["error.type"], whole.status.status_code)


async def test_the_parent_a_client_names(told: InMemorySpanExporter) -> None:
    """A `traceparent` header is the parent of the call's span; nonsense is none."""
    for header, expected in ((PARENT, "0af7651916cd43dd8448eb211c80319c"), ("nonsense\r\n", None)):
        told.clear()
        call = a_call()
        call.asks = {"traceparent": header}
        (whole,) = await span_of(told, call, Outcome("complete"))

        assert expected == (f"{whole.parent.trace_id:032x}" if whole.parent else None)


async def test_a_call_nobody_samples(told: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parts are not built either; and a call that was never entered has no span to end."""
    monkeypatch.setattr("opentelemetry.trace.get_tracer", TracerProvider(sampler=ALWAYS_OFF).get_tracer)
    guard, call = Spans(GuardOptions("otel", LoopClock(), Random(0))), a_call(Step("a/m", "complete"))
    monkeypatch.setattr(Spans, "_step", lambda *_: pytest.fail("a part was built for nobody"))
    await guard.enter(call)
    for _ in range(2):
        await guard.leave(call, Outcome("complete", USED, seconds=1.0))

    assert () == told.get_finished_spans()
