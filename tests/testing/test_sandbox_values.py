"""The sandbox's values without any socket: faults as words, and examples for JSON schemas."""

from __future__ import annotations

from typing import Any

import pytest

from aigateway.testing.sandbox import VENDORS, Fault, Sandbox
from aigateway.testing.sandbox._schema import example
from aigateway.testing.sandbox._speech import pieces
from aigateway.testing.sandbox._vendors import duration


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("none", Fault("none")),
        ("rate_limit:2", Fault("rate_limit", 2)),
        (" rate-limit : 2.5 ", Fault("rate_limit", 2.5)),
        ("rate_limit", Fault("rate_limit", 1)),
        ("error:503*1", Fault("error", 503, 1)),
        ("hang*3", Fault("hang", count=3)),
        ("cut:0", Fault("cut", 0)),
    ],
)
def test_parse(text: str, fault: Fault) -> None:
    """A fault is read from words, and its words are read as itself."""
    assert fault == Fault.parse(text)
    assert fault == Fault.parse(str(fault))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strom", "valid: none, down"),
        ("hagn", "did you mean 'hang'"),
        ("", "cannot read fault"),
        ("hang:2", "takes no amount"),
        ("down*1", "cannot be counted"),
        ("none*1", "cannot be counted"),
        ("error*0", "cannot be counted"),
        ("error:99", "status"),
        ("error:3000", "status"),
        ("error:500.5", "whole number"),
        ("bad_json:0", "from 1"),
        ("slow:100000", "86400"),
        ("slow:1.2.3", "not a number"),
        ("slow:-1", "cannot read fault"),
    ],
)
def test_parse_refuses(text: str, message: str) -> None:
    """What makes no sense is refused with what would."""
    with pytest.raises(ValueError, match=message):
        Fault.parse(text)


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf")])
def test_amounts_are_finite(amount: float) -> None:
    """An amount is a finite number from 0."""
    with pytest.raises(ValueError, match="0 or more"):
        Fault("slow", amount)


RECURSIVE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["value", "next"],
}
ENDLESS = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "example"),
        (None, None),
        ({"type": "object"}, {}),
        ({"type": "object", "properties": {"a": {}}, "required": ["b", 3]}, {"b": "example"}),
        ({"properties": {"a": {"type": "boolean"}}, "required": ["a"]}, {"a": True}),
        ({"const": 7}, 7),
        ({"enum": ["x", "y"]}, "x"),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "null"}, None),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "multipleOf": 4}, 4),
        ({"type": "number"}, 0.5),
        ({"type": "string", "minLength": 9}, "examplexx"),
        ({"type": "string", "maxLength": 2}, "ex"),
        ({"type": "string", "format": "date"}, "2026-11-20"),
        ({"type": "array"}, []),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {}, "minItems": 2}, ["example", "example"]),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, 1),
        ({"$ref": "#/nowhere"}, None),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "boolean"}}, "required": ["b"]},
                    3,
                ]
            },
            {"a": 1, "b": True},
        ),
    ],
)
def test_example(schema: Any, value: Any) -> None:
    """The simplest value that fits is given."""
    assert value == example(schema)


def test_examples_end() -> None:
    """A recursive schema ends where it may, and one that never ends is cut."""
    value, depth = example(RECURSIVE), 0
    while value is not None:
        value, depth = value["next"], depth + 1

    assert 0 < depth < 10
    assert isinstance(example(ENDLESS), dict)


@pytest.mark.parametrize(
    "text", ["", "x", '{"a":1}', '{"answer":"yes"}', " two  words ", "one two three four five six seven eight nine"]
)
def test_pieces(text: str) -> None:
    """Pieces make the text again, and are eight where it can be."""
    found = pieces(text)

    assert text == "".join(found)
    assert len(found) >= 8 or len(text) < 8


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.12, "120ms"), (1.5, "1.5s"), (60, "1m0s"), (86.4, "1m26.4s"), (0, "1ms")]
)
def test_duration(seconds: float, text: str) -> None:
    """Times are written as the vendors write them."""
    assert text == duration(seconds)


def test_settings() -> None:
    """A port for an unknown vendor and an empty key are refused; a closed sandbox says so and hides its key."""
    with pytest.raises(ValueError, match="did you mean 'groq'"):
        Sandbox(ports={"grog": 1})
    with pytest.raises(ValueError, match="key"):
        Sandbox(key="")

    assert "Sandbox(closed)" == repr(Sandbox(key="hidden"))
    assert VENDORS == tuple(Sandbox().vendors)
