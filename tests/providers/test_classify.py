"""What a failure is: the table first, the status last, nothing a vendor says trusted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import REMEDIES, Kind, ProviderError, Remedy
from aigateway.providers import ErrorBody, Rule, by_status, classify, read_error
from aigateway.types import WireFailure

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "type", "code", "param"]), inner)
    ),
)


def answer(status, body=b"", headers=(), rules=()):
    failure = WireFailure(status, dict(headers), body)
    return classify(failure, read_error(failure), rules)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Kind.PROTOCOL_ERROR),
        (302, Kind.PROTOCOL_ERROR),
        (400, Kind.BAD_REQUEST),
        (401, Kind.AUTH),
        (402, Kind.INSUFFICIENT_FUNDS),
        (403, Kind.PERMISSION),
        (404, Kind.MODEL_NOT_FOUND),
        (408, Kind.TIMEOUT),
        (413, Kind.REQUEST_TOO_LARGE),
        (422, Kind.BAD_REQUEST),
        (429, Kind.RATE_LIMIT),
        (499, Kind.CANCELLED),
        (500, Kind.SERVER_ERROR),
        (502, Kind.SERVER_ERROR),
        (503, Kind.OVERLOADED),
        (504, Kind.TIMEOUT),
        (529, Kind.OVERLOADED),
    ],
)
def test_status_decides_last(status, kind):
    """With nothing else known, the status says what it is and what may happen next."""
    assert kind == by_status(status)
    assert REMEDIES[kind] == answer(status).remedy


def test_first_matching_rule_wins():
    """Every condition of a row must hold, and rows are tried in order."""
    rules = (
        Rule(Kind.AUTH, status=429, code="no_money"),
        Rule(Kind.INSUFFICIENT_FUNDS, code="no_money", remedy=Remedy(other_target="yes")),
        Rule(Kind.OVERLOADED, message="NO MONEY"),
    )
    coded = answer(400, b'{"error": {"code": "no_money", "message": "no money"}}', rules=rules)
    worded = answer(400, b'{"error": {"message": "there is no money"}}', rules=rules)

    assert coded.kind == Kind.INSUFFICIENT_FUNDS
    assert Remedy(other_target="yes") == coded.remedy
    assert worded.kind == Kind.OVERLOADED


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"error": {"message": "m", "type": "t", "code": "c", "param": "p"}, "request_id": "r"}',
            ("m", "t", "c", "p", "r"),
        ),
        (b'{"error": {"message": "m", "code": 42}}', ("m", "", "42", None, None)),
        (b'{"error": {"message": "m", "code": true, "param": null}}', ("m", "", "", None, None)),
        (b'{"error": "m"}', ("m", "", "", None, None)),
        (b'{"message": "m", "type": "t"}', ("m", "t", "", None, None)),
        (b'{"error": [1]}', ("", "", "", None, None)),
        (b'\n\n {"error": "m"}', ("m", "", "", None, None)),
        (b"plain words", ("plain words", "", "", None, None)),
        (b'"a text"', ("a text", "", "", None, None)),
        (b"<HTML><body>502</body>", ("", "", "", None, None)),
        (b"", ("", "", "", None, None)),
        (b"[1, 2]", ("", "", "", None, None)),
        (b"\xff\xfe", ("\ufffd\ufffd", "", "", None, None)),
    ],
)
def test_reads_every_shape(body, expected):
    """JSON under any content type, texts, HTML and nothing are read without complaint."""
    read = read_error(WireFailure(500, body=body))

    assert expected == (read.message, read.type, read.code, read.param, read.request_id)


def test_an_event_counts_before_the_body():
    """A failure inside a stream is read from its object."""
    assert read_error(WireFailure(200, body=b"x", event={"error": {"message": "m"}})).message == "m"


@given(JSON, st.integers(100, 599))
def test_any_json_is_classified(value, status):
    """No JSON whatever makes classifying raise."""
    body = json.dumps(value).encode()

    assert isinstance(answer(status, body, rules=(Rule(Kind.AUTH, code="x", message="y"),)), ProviderError)


@given(st.binary(max_size=300), st.integers(100, 599))
def test_any_bytes_are_classified(body, status):
    """No bytes whatever make classifying raise, and the message is one printable, bounded line."""
    error = answer(status, body)

    assert isinstance(error, ProviderError)
    assert len(error.message) <= 256
    assert "\n" not in error.message


@pytest.mark.parametrize(("wait", "again"), [("5", True), ("10", True), ("11", False)])
def test_long_waits_are_no_reason_to_stay(wait, again):
    """A limit with a long wait rests the key instead of trying it again."""
    error = answer(429, headers={"retry-after": wait})

    assert again == error.remedy.again
    assert float(wait) == error.retry_after


def test_vendor_can_forbid_a_retry():
    """x-should-retry: false is obeyed for the same key; other targets may still be tried."""
    error = answer(503, headers={"x-should-retry": "false"})

    assert (error.remedy.again, error.remedy.other_target) == (False, "yes")


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("Incorrect API key provided: sk-proj-abc123def456", "sk-proj-abc123def456"),
        ("Your api key: ****0f3a is invalid", "0f3a"),
        ("header was Bearer abcdef123456", "abcdef123456"),
    ],
)
def test_keys_are_masked(said, secret):
    """Keys and their remains do not come out of an error."""
    assert secret not in answer(401, json.dumps({"error": {"message": said}}).encode()).message


def test_what_the_vendor_said_is_kept_apart():
    """Status, code, parameter and request id are there for people who debug."""
    body = b'{"error": {"message": "m", "code": "c", "param": "top_p"}}'
    vendor = answer(400, body, {"x-request-id": "req_1"}).vendor

    assert (vendor.status, vendor.code, vendor.param, vendor.request_id) == (400, "c", "top_p", "req_1")


def test_an_empty_body_still_gives_a_sentence():
    """The message names the status when the vendor gave no reason."""
    assert "status 500" in answer(500).message
    assert ErrorBody().message == ""
