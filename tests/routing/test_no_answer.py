"""When everything failed: one answer for the caller, all reasons for whoever looks."""

from __future__ import annotations

from math import inf

import pytest

from aigateway.errors import (
    CALLER_CAUSED,
    GatewayError,
    Kind,
    NoAnswer,
    ProviderError,
    Refusal,
    RequestError,
    StreamInterrupted,
    UnknownModel,
    Vendor,
)
from aigateway.types import Decision, Usage


def failed(kind: Kind, wait: float | None = None, provider: str = "p") -> ProviderError:
    return ProviderError(kind, f"it was {kind}", retry_after=wait, vendor=Vendor(param="temperature")).at(provider, "m")


def group(*errors: ProviderError) -> NoAnswer:
    return NoAnswer("no target answered", errors)


@pytest.mark.parametrize(("kind", "status"), list(CALLER_CAUSED.items()))
def test_what_the_caller_caused_decides(kind: Kind, status: int) -> None:
    """The last such reason is the caller's answer, wherever it stands among others."""
    error = group(failed(Kind.BAD_REQUEST), failed(kind), failed(Kind.SERVER_ERROR), failed(Kind.RATE_LIMIT, 3))

    assert (status, "invalid_request_error", kind.value) == (error.status, error.type, error.code)
    assert "temperature" == error.param
    assert None is error.retry_after


def test_all_limited_is_429_with_the_smallest_wait() -> None:
    """Unknown waits are no wait of zero."""
    error = group(failed(Kind.RATE_LIMIT, 30), failed(Kind.QUOTA_EXHAUSTED, 2.5), failed(Kind.RATE_LIMIT))

    assert (429, "rate_limit_error", 2.5) == (error.status, error.type, error.retry_after)
    assert {"x-should-retry": "false", "retry-after": "3", "retry-after-ms": "2500"} == error.headers


def test_all_limited_for_an_unknown_time() -> None:
    """No wait is invented."""
    error = group(failed(Kind.RATE_LIMIT), failed(Kind.RATE_LIMIT))

    assert (429, None) == (error.status, error.retry_after)
    assert {"x-should-retry": "false"} == error.headers


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.INSUFFICIENT_FUNDS, Kind.PERMISSION, Kind.SERVER_ERROR, Kind.CONNECT])
def test_anything_else_is_503(kind: Kind) -> None:
    """Our key, our money, their fault: never a 401, 402 or 403 to the caller."""
    error = group(failed(Kind.RATE_LIMIT, 1), failed(kind))

    assert (503, "upstream_error", None) == (error.status, error.type, error.retry_after)


def test_all_reasons_are_kept() -> None:
    """In order, with provider, model and kind; nothing a vendor wrote."""
    error = group(failed(Kind.CONNECT, provider="a"), failed(Kind.AUTH, provider="b"))

    assert [
        {"provider": "a", "model": "m", "kind": "connect"},
        {"provider": "b", "model": "m", "kind": "auth"},
    ] == error.reasons


def test_it_is_an_exception_group() -> None:
    """`except*` takes it apart, and every part keeps its type."""
    caught: list[BaseException] = []
    try:
        raise group(failed(Kind.CONNECT, provider="a"), failed(Kind.RATE_LIMIT, 4.0, provider="b"))
    except* ProviderError as part:
        caught.append(part)
    try:
        raise group(failed(Kind.CONNECT))
    except GatewayError as error:
        caught.append(error)

    assert [NoAnswer, NoAnswer] == [type(error) for error in caught]
    assert 2 == len(caught[0].exceptions)  # type: ignore[attr-defined]  # it is a group


def test_splitting_keeps_type_and_meaning() -> None:
    """A part is described by what is in it."""
    whole = group(failed(Kind.CONNECT, provider="a"), failed(Kind.RATE_LIMIT, 4.0, provider="b"))
    limited, rest = whole.split(lambda e: isinstance(e, ProviderError) and e.kind is Kind.RATE_LIMIT)

    assert isinstance(limited, NoAnswer)
    assert isinstance(rest, NoAnswer)
    assert (503, 429, 503) == (whole.status, limited.status, rest.status)
    assert 4.0 == limited.retry_after
    assert [{"provider": "a", "model": "m", "kind": "connect"}] == rest.reasons


def test_splitting_keeps_the_decision() -> None:
    """Why it went where it went is still known in `except*`."""
    whole = group(failed(Kind.CONNECT))
    whole.decision = Decision("m", "a route", ("a/x",))
    caught: list[Decision | None] = []
    try:
        raise whole
    except* ProviderError as part:
        caught.append(part.decision)  # type: ignore[attr-defined]  # it is a NoAnswer

    assert [whole.decision] == caught


@pytest.mark.parametrize(
    ("wait", "seconds", "ms"),
    [(0.0, "1", "0"), (0.001, "1", "1"), (1.0, "1", "1000"), (1.001, "2", "1001"), (60, "60", "60000")],
)
def test_waits_are_told_in_whole_seconds_rounded_up(wait: float, seconds: str, ms: str) -> None:
    """A client that trusts `retry-after` is not early."""
    assert (seconds, ms) == (
        Refusal("full", retry_after=wait).headers["retry-after"],
        Refusal("full", retry_after=wait).headers["retry-after-ms"],
    )


def test_a_refusal_adds_its_headers() -> None:
    """Limit headers beside the wait."""
    refusal = Refusal("full", status=503, code="busy", retry_after=2, headers={"x-ratelimit-limit-requests": "1"})

    assert (503, "busy", "server_error") == (refusal.status, refusal.code, refusal.type)
    assert {"x-ratelimit-limit-requests": "1", "retry-after": "2", "retry-after-ms": "2000"} == refusal.headers
    assert (429, {}) == (Refusal("no").status, Refusal("no").headers)


def test_errors_say_what_they_are() -> None:
    """Status, type, code and param an OpenAI client reads; classes that say them keep them."""
    error = RequestError("'n' is wrong", param="n", code="c", status=422)

    assert (422, "invalid_request_error", "c", "n", "'n' is wrong") == (
        error.status,
        error.type,
        error.code,
        error.param,
        error.message,
    )
    assert (404, "model_not_found") == (UnknownModel("x").status, UnknownModel("x").code)
    assert ("GatewayError", {}) == (GatewayError().message, GatewayError().headers)


def test_an_interruption_carries_what_arrived() -> None:
    """And says how it broke, where, and that nothing follows it silently."""
    error = StreamInterrupted(failed(Kind.TIMEOUT)).carrying("Hel", "hm", Usage(1, 2))

    assert ("Hel", "hm", Usage(1, 2), Kind.TIMEOUT) == (error.text, error.reasoning, error.usage, error.cause_kind)
    assert (Kind.STREAM_INTERRUPTED, True, "p", "m") == (error.kind, error.may_have_cost, error.provider, error.model)
    assert str(error).startswith("p/m: stream_interrupted: the answer broke off before its end (timeout)")


def test_an_upstream_401_is_our_fault() -> None:
    """A single failure about our key is a 502 to the caller."""
    assert {502} == {failed(kind).status for kind in (Kind.AUTH, Kind.PERMISSION, Kind.INSUFFICIENT_FUNDS)}


def test_for_ever_is_no_header() -> None:
    """A wait without an end is not written, nor does it break the answer."""
    assert {} == Refusal("full", retry_after=inf).headers
