"""The table "error -> action": every row, every way vendors show it, and what may happen next.

A row names what the loops read; its ways are an HTTP status with a body, a body inside a 200, and
an event of a stream, in OpenAI's words and in each vendor's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from aigateway.errors import REMEDIES, Kind, ProviderError, Remedy, Scope, StreamInterrupted
from aigateway.plugins import Registry
from aigateway.providers import OpenAICompatible, Options
from aigateway.types import ChatRequest, Event, WireFailure, WireResponse

ANY, DS, MM, OA, GQ = "openai-compatible", "deepseek", "minimax", "openai", "groq"
NOON = 1_795_176_000.0  # Fri, 20 Nov 2026 12:00:00 GMT
HELLO = [{"role": "user", "content": "Hello"}]
WHOLE = ChatRequest.parse({"messages": HELLO})
STREAMED = ChatRequest.parse({"messages": HELLO, "stream": True})
BEGUN = b'{"id": "1", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": null}]}'


def build(vendor: str) -> OpenAICompatible:
    """Make a provider; the address is used by the one that has none of its own."""
    url = "https://api.example.com/v1" if vendor == ANY else None
    provider = Registry().provider(vendor).factory(Options(vendor, url))
    assert isinstance(provider, OpenAICompatible)
    return provider


class Way(NamedTuple):
    """One way a failure shows: `show` raises it, `late` raises it after content, where that can be."""

    name: str
    show: Callable[[], object]
    late: Callable[[], object] | None = None
    wait: float | None = None


def http(vendor: str, status: int, body: Any = b"", wait: float | None = None, **headers: str) -> Way:
    """Show an HTTP answer that is no success."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def show() -> None:
        raise build(vendor).classify(WireFailure(status, named, data, at=NOON))

    return Way(f"{vendor} {status}", show, wait=wait)


def inside(vendor: str, body: Any, wait: float | None = None, **headers: str) -> Way:
    """Show a body inside a 200."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Way(f"{vendor} in a 200", lambda: build(vendor).decode(WHOLE, WireResponse(200, headers, data)), wait=wait)


def event(vendor: str, body: Any, wait: float | None = None, name: str = "message", **headers: str) -> Way:
    """Show an event of a stream; also after content."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def feed(*before: bytes) -> None:
        decoder = build(vendor).decoder(STREAMED)
        decoder.headers = headers
        for one in before:
            assert list(decoder.feed(Event(one)))
        list(decoder.feed(Event(data, name)))

    return Way(f"{vendor} in a stream", feed, lambda: feed(BEGUN), wait)


def said(vendor: str, status: int, wait: float | None = None, **error: Any) -> Iterator[Way]:
    """Show one error object everywhere: with its status, inside a 200, in a stream."""
    body = {"error": error}
    yield http(vendor, status, body, wait)
    yield inside(vendor, body, wait)
    yield event(vendor, body, wait)


def base(code: int, words: str = "no") -> Iterator[Way]:
    """Show a MiniMax code: in `base_resp`, and in brackets under several statuses."""
    resp = {"choices": None, "base_resp": {"status_code": code, "status_msg": words}}
    yield inside(MM, resp)
    yield event(MM, resp)
    yield http(MM, 429, resp)
    for status in (200, 400, 429, 500):
        error = {"type": "error", "error": {"type": "api_error", "message": f"{words} ({code})"}}
        yield inside(MM, error) if status == 200 else http(MM, status, error)


def dead(vendor: str, *events: bytes) -> Way:
    """Show a stream that ends too early."""

    def end() -> None:
        decoder = build(vendor).decoder(STREAMED)
        for one in events:
            list(decoder.feed(Event(one)))
        list(decoder.end())

    return Way(f"{vendor} ends", end)


def finish(vendor: str, reason: str) -> Iterator[Way]:
    """Show a finish reason that is a failure, whole and streamed."""
    choice = {"index": 0, "finish_reason": reason}
    yield inside(vendor, {"choices": [{**choice, "message": {"role": "assistant", "content": None}}]})
    yield event(vendor, {"choices": [{**choice, "delta": {}}]})


def ds(words: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """Write an error as DeepSeek does: the code is the same in all of them."""
    return {"message": words, "type": kind, "param": None, "code": "invalid_request_error"}


@dataclass(frozen=True)
class Row:
    """One row: what it is, what may happen next, how it shows."""

    name: str
    kind: Kind
    remedy: Remedy
    ways: tuple[Way, ...]


def row(name: str, kind: Kind, remedy: tuple[Any, ...], *ways: Way | Iterator[Way]) -> Row:
    """Write one row; the remedy's fields are in the order of its class."""
    shown = [one for way in ways for one in ([way] if isinstance(way, Way) else way)]
    return Row(name, kind, Remedy(*remedy), tuple(shown))


MODEL, GROUP, KEY, REQUEST, PROVIDER = Scope.MODEL, Scope.QUOTA_GROUP, Scope.KEY, Scope.REQUEST, Scope.PROVIDER
TPM = "Rate limit reached for model on tokens per minute (TPM): Limit 8000. Please try again in 4.77s."
TPD = "Rate limit reached for model on tokens per day (TPD): Limit 9. Please try again in {}. Need more?"
LARGE = "Request too large for model on tokens per minute (TPM): Limit 8000, Requested 9000"
WINDOW = "usage limit exceeded, 5-hour usage limit reached, resets at 2026-11-20T15:00:00Z (2056)"
CUT = "maximum context length is 4096 tokens. However, you requested 5000"
DATE = "Fri, 20 Nov 2026 12:00:00 GMT"

TABLE = (
    # name                       kind                        again  other key      other target   rest  scope  billed
    row(
        "timeout before the first byte", Kind.TIMEOUT, (True, "no", "yes", "ok", MODEL, "maybe"),
        http(ANY, 408), http(ANY, 504), http(OA, 504, b"<html>gateway timeout</html>"),
        base(1001),
        inside(DS, b"\n\n\n"), dead(DS),
    ),
    row(
        "rate limit, short", Kind.RATE_LIMIT, (True, "other_group", "yes", "cooldown", GROUP, "no"),
        http(ANY, 429), http(ANY, 429, wait=10.0, retry_after="10"),
        said(OA, 429, wait=4.77, message=TPM, type="tokens", code="rate_limit_exceeded"),
        said(GQ, 429, wait=4.77, message=TPM, type="tokens", code="rate_limit_exceeded"),
        said(DS, 429, **ds("Your current concurrency is 9, which exceeds your concurrency limit of 8.", "rate_limit")),
        said(ANY, 429, message="slow", code=429),
        base(1002), base(1039), base(1041), base(2045),
        http(MM, 429, {"error": {"type": "rate_limit_error", "message": "slow"}}),
    ),
    row(
        "rate limit, long", Kind.RATE_LIMIT, (False, "other_group", "yes", "cooldown", GROUP, "no"),
        http(ANY, 429, wait=11.0, retry_after="11"),
        http(OA, 429, wait=60.0, x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="1m"),
        said(GQ, 429, wait=578.016, message=TPD.format("9m38.016s"), type="tokens", code="rate_limit_exceeded"),
        said(GQ, 429, wait=4.1, message=TPD.format("4.1s"), type="tokens", code="rate_limit_exceeded"),
        said(OA, 429, wait=0.006, message=TPD.format("6ms"), type="tokens", code="rate_limit_exceeded"),
        http(ANY, 429, {"error": {"message": "Rate limit exceeded: free-models-per-day", "code": 429}}),
    ),
    row(
        "slow_down", Kind.RATE_LIMIT, (True, "other_group", "yes", "cooldown", GROUP, "no"),
        said(OA, 429, message="Slow down and ramp up gradually.", type="rate_limit_error", code="slow_down"),
    ),
    row(
        "plan window used up", Kind.QUOTA_EXHAUSTED, (False, "other_group", "yes", "suspended", GROUP, "no"),
        base(2056),
        http(MM, 429, {"error": {"type": "rate_limit_error", "message": WINDOW}}, wait=10_800.0),
        inside(MM, {"base_resp": {"status_code": 2056, "status_msg": WINDOW}}, wait=10_800.0, date=DATE),
        event(MM, {"base_resp": {"status_code": 2056, "status_msg": WINDOW}}, wait=10_800.0, date=DATE),
    ),
    row(
        "no money", Kind.INSUFFICIENT_FUNDS, (False, "other_group", "yes", "suspended", GROUP, "no"),
        http(ANY, 402), http(ANY, 412),
        said(DS, 402, **ds("Insufficient Balance", "unknown_error")),
        *(said(OA, 429, message="No.", type="insufficient_quota", code=code) for code in (
            "insufficient_quota", "credit_balance_exhausted",
            "organization_spend_limit_exceeded", "organization_usage_limit_exceeded",
        )),
        said(ANY, 429, message="No.", type="insufficient_quota", code="insufficient_quota"),
        said(ANY, 402, message="No.", code=402),
        base(1008),
        http(MM, 429, {"error": {"type": "insufficient_balance_error", "message": "insufficient balance"}}),
    ),
    row(
        "no money, one project", Kind.INSUFFICIENT_FUNDS, (False, "any", "yes", "suspended", KEY, "no"),
        said(OA, 429, message="No.", type="insufficient_quota", code="project_spend_limit_exceeded"),
    ),
    row(
        "bad key", Kind.AUTH, (False, "any", "yes", "disabled", KEY, "no"),
        http(ANY, 401), http(ANY, 401, b"Unauthorized"),
        said(OA, 401, message="Incorrect API key.", type="invalid_request_error", code="invalid_api_key"),
        said(GQ, 401, message="Invalid API Key", type="invalid_request_error", code="invalid_api_key"),
        said(DS, 401, **ds("Authentication Fails, Your api key: ****0f3a is invalid", "authentication_error")),
        base(1004), base(2049),
        http(MM, 401, {"error": {"type": "authorized_error", "message": "no"}}),
    ),
    row(
        "barred organization", Kind.AUTH, (False, "other_group", "yes", "disabled", GROUP, "no"),
        said(GQ, 400, message="Restricted.", type="invalid_request_error", code="organization_restricted"),
        http(OA, 401, {"error": {"message": "Your IP is not allowed here.", "code": None}}),
    ),
    row(
        "not allowed", Kind.PERMISSION, (False, "other_group", "yes", "ok", MODEL, "no"),
        http(ANY, 403), http(ANY, 403, b"<html>Forbidden</html>"),
        said(GQ, 403, message="Blocked.", type="permissions_error", code="model_permission_blocked_org"),
    ),
    row(
        "region", Kind.PERMISSION, (False, "no", "yes", "ok", PROVIDER, "no"),
        said(OA, 403, message="No.", type="request_forbidden", code="unsupported_country_region_territory"),
    ),
    row(
        "unknown model", Kind.MODEL_NOT_FOUND, (False, "no", "yes", "ok", MODEL, "no"),
        http(ANY, 404),
        said(DS, 400, **ds("Model Not Exist")),
        said(GQ, 404, message="No.", type="invalid_request_error", code="model_not_found"),
        said(GQ, 400, message="No.", type="invalid_request_error", code="model_decommissioned"),
        http(OA, 400, {"error": {"message": "No.", "code": "model_not_found", "param": "model"}}),
        inside(ANY, {"object": "error", "message": "No.", "type": "NotFoundError", "param": None, "code": 404}),
        event(ANY, {"object": "error", "message": "No.", "type": "NotFoundError", "param": None, "code": 404}),
        http(MM, 400, {"error": {"type": "bad_request_error", "message": "unknown model 'x' (2013)"}}),
    ),
    row(
        "unknown model, or no access", Kind.MODEL_NOT_FOUND, (False, "other_group", "yes", "ok", MODEL, "no"),
        http(OA, 404, {"error": {"message": "No.", "code": "model_not_found"}}),
    ),
    row(
        "request too large for the quota", Kind.REQUEST_TOO_LARGE, (False, "other_group", "yes", "ok", REQUEST, "no"),
        http(ANY, 413), http(ANY, 429, {"error": {"message": LARGE}}),
        said(GQ, 413, message=LARGE, type="tokens", code="rate_limit_exceeded"),
        said(OA, 429, message=LARGE, type="tokens", code="rate_limit_exceeded"),
    ),
    row(
        "context too long", Kind.CONTEXT_LENGTH, (False, "no", "conditional", "ok", REQUEST, "no"),
        said(OA, 400, message="No.", type="invalid_request_error", code="context_length_exceeded"),
        said(GQ, 400, message="Please reduce the length of the messages or completion.", type="invalid_request_error"),
        said(DS, 400, **ds(f"This model's {CUT}")),
        said(ANY, 400, message=f"This model's {CUT}", type="BadRequestError", code=400),
        said(ANY, 400, message="No.", code=400, metadata={"error_type": "context_length_exceeded"}),
        http(MM, 400, {"error": {"message": "invalid params, context window exceeds limit (2013)"}}),
        inside(MM, {"base_resp": {"status_code": 2013, "status_msg": "context window exceeds limit"}}),
    ),
    row(
        "bad parameter", Kind.BAD_REQUEST, (False, "no", "no", "ok", REQUEST, "no"),
        http(ANY, 400), http(ANY, 422), http(DS, 422, b"Failed to parse the request body as JSON"),
        said(OA, 400, message="No.", type="invalid_request_error", code="decimal_below_min_value"),
        said(DS, 400, **ds("Failed to deserialize the JSON body into the target type")),
        said(GQ, 424, message="No.", type="invalid_request_error"),
        base(2013), base(1042),
    ),
    row(
        "unknown parameter", Kind.UNSUPPORTED_PARAM, (False, "no", "no", "ok", REQUEST, "no"),
        said(OA, 400, message="No.", type="invalid_request_error", code="unsupported_parameter"),
        said(OA, 400, message="No.", type="invalid_request_error", code="unknown_parameter"),
        said(GQ, 400, message="property 'name' is unsupported", type="invalid_request_error"),
    ),
    row(
        "content policy", Kind.CONTENT_POLICY, (False, "no", "no", "ok", REQUEST, "maybe"),
        http(ANY, 446),
        http(ANY, 403, {"error": {"code": 403, "message": "Your model requires moderation and it was refused."}}),
        inside(ANY, {"error": {"code": 403, "message": "Your input was flagged."}}),
        said(ANY, 400, message="No.", code=400, metadata={"error_type": "content_policy_violation"}),
        said(DS, 400, **ds("Content Exists Risk")),
        said(OA, 400, message="No.", type="image_generation_user_error", code="moderation_blocked"),
        said(OA, 400, message="No.", type="invalid_request_error", code="content_policy_violation"),
        base(1026), base(1027),
        inside(OA, {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}),
        Way("openai stream withheld", event(OA, {"choices": [{"delta": {}, "finish_reason": "content_filter"}]}).show),
    ),
    row(
        "model output accident", Kind.TOOL_USE_FAILED, (True, "no", "yes", "ok", REQUEST, "maybe"),
        said(GQ, 400, message="No.", type="invalid_request_error", code="tool_use_failed"),
        said(GQ, 400, message="No.", type="invalid_request_error", code="json_validate_failed"),
        http(GQ, 422),
        event(GQ, {"error": {"message": "No.", "code": "tool_use_failed", "status_code": 400}}, name="error"),
    ),
    row(
        "overload", Kind.OVERLOADED, (True, "no", "yes", "ok", MODEL, "maybe"),
        http(ANY, 503), http(ANY, 529), http(ANY, 409), http(ANY, 503, wait=8.0, retry_after="8"),
        http(GQ, 498), said(GQ, 498, message="No.", code="capacity_exceeded"),
        said(OA, 503, message="No.", type="service_unavailable_error", code="server_is_overloaded"),
        said(ANY, 502, message="No.", code=502, metadata={"error_type": "provider_overloaded"}),
        said(ANY, 503, message="No.", code=503, metadata={"error_type": "provider_unavailable"}),
        base(2064), finish(DS, "insufficient_system_resource"),
    ),
    row(
        "server error", Kind.SERVER_ERROR, (True, "no", "yes", "ok", MODEL, "maybe"),
        http(ANY, 500), http(ANY, 502, b"<html>Bad Gateway</html>"), http(ANY, 599),
        said(OA, 500, message="No.", type="server_error"),
        said(GQ, 500, message="No.", type="internal_server_error"),
        said(DS, 500, **ds("No.", "internal_error")),
        inside(ANY, {"error": "it broke"}), event(ANY, {"error": "it broke"}), event(ANY, {"error": 7}),
        event(GQ, {"choices": [], "x_groq": {"error": "over capacity"}}),
        base(1000), base(1024), base(1033), finish(ANY, "error"),
        # A code nobody documented is a failure, never success, whatever stands beside it.
        inside(MM, {"choices": [{"message": {"content": "Hi"}}], "base_resp": {"status_code": 4711}}),
        event(MM, {"choices": [{"delta": {"content": "Hi"}}], "base_resp": {"status_code": 4711}}),
        # The reset that comes with every answer is not a wait for one that is no limit.
        http(GQ, 500, x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="2h"),
    ),
    row(
        "x-should-retry: false", Kind.SERVER_ERROR, (False, "no", "yes", "ok", MODEL, "maybe"),
        http(OA, 500, x_should_retry="false"), http(ANY, 502, x_should_retry=" False "),
    ),
    row(
        "x-should-retry: false, limited", Kind.RATE_LIMIT, (False, "no", "yes", "cooldown", GROUP, "no"),
        http(OA, 429, x_should_retry="false"), http(OA, 429, wait=60.0, x_should_retry="false", retry_after="60"),
    ),
    row(
        "x-should-retry: false, bad key", Kind.AUTH, (False, "any", "yes", "disabled", KEY, "no"),
        http(OA, 401, x_should_retry="false"),
    ),
    row(
        "protocol error", Kind.PROTOCOL_ERROR, (True, "no", "yes", "ok", MODEL, "maybe"),
        *(inside(ANY, body) for body in (b"", b"<html>hello</html>", b'{"choices": [', b"[]", b"null", b"{}")),
        *(inside(vendor, {"choices": None}) for vendor in (ANY, DS, MM, OA, GQ)),
        *(inside(vendor, {"choices": []}) for vendor in (ANY, DS, MM, OA, GQ)),
        inside(MM, {"choices": None, "base_resp": {"status_code": 0, "status_msg": ""}}),
        event(ANY, b"<html>hello</html>"), event(ANY, b'{"choices": ['), event(ANY, b"[]"), event(ANY, {"id": "1"}),
        http(ANY, 302),
    ),
    row(
        "stream died before its end", Kind.STREAM_INTERRUPTED, (False, "no", "conditional", "ok", MODEL, "yes"),
        dead(ANY), dead(MM), dead(OA), dead(GQ), *(dead(vendor, BEGUN) for vendor in (ANY, DS, MM, OA, GQ)),
        dead(ANY, BEGUN, b"[DONE]"), dead(DS, b"[DONE]"),
    ),
    row("client went away", Kind.CANCELLED, (False, "no", "no", "ok", REQUEST, "maybe"), http(GQ, 499), http(ANY, 499)),
)  # fmt: skip  # a table
CASES = [pytest.param(row, way, id=f"{row.name}: {way.name} {n}") for row in TABLE for n, way in enumerate(row.ways)]
LATE = [case for case in CASES if case.values[1].late]


@pytest.mark.parametrize(("row", "way"), CASES)
def test_row(row: Row, way: Way) -> None:
    """Each way a row shows gives its kind, its remedy and the wait that was named."""
    with pytest.raises(ProviderError) as caught:
        way.show()

    error = caught.value
    assert (row.kind, row.remedy) == (error.kind, error.remedy)
    assert error.retry_after == (None if way.wait is None else pytest.approx(way.wait))
    assert len(error.message) <= 512


@pytest.mark.parametrize(("row", "way"), LATE)
def test_row_after_content(row: Row, way: Way) -> None:
    """After content the same failure has the same kind, and nothing may be tried: the stream was interrupted."""
    assert way.late is not None
    with pytest.raises(ProviderError) as caught:
        way.late()
    broken = StreamInterrupted(caught.value)

    assert (row.kind, row.remedy) == (broken.cause_kind, caught.value.remedy)
    assert Remedy(False, "no", "conditional", "ok", Scope.MODEL, "yes") == broken.remedy


def test_no_kind_is_left_out() -> None:
    """The table has a row for every kind; a refused connection never reaches a plug-in."""
    assert {row.kind for row in TABLE} == set(Kind) - {Kind.CONNECT}
    assert Remedy(True, "no", "yes", "ok", Scope.PROVIDER, "no") == REMEDIES[Kind.CONNECT]


@pytest.mark.parametrize(("vendor", "stops"), [(DS, True), (OA, True), (MM, False), (GQ, False), (ANY, False)])
def test_whether_cancelling_stops_billing(vendor: str, stops: bool) -> None:
    """It is declared where a source says so, and not believed elsewhere."""
    assert stops == build(vendor).cancel_stops_billing
